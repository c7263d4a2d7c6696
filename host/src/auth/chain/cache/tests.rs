use super::*;
use sandbox::Denial;

fn question() -> Question {
    Question {
        who: Principal {
            tenant: "t".to_owned(),
            issuer: Some("i".to_owned()),
            subject: Some("s".to_owned()),
            scopes: vec!["a".to_owned(), "b".to_owned()],
            claims: Some("{}".to_owned()),
        },
        what: Action::CallTool,
        targets: vec![target("x"), target("y")],
        arguments: Some("{}".to_owned()),
    }
}

fn target(name: &str) -> Target {
    Target {
        server: "v".to_owned(),
        kind: TargetKind::Tool,
        name: name.to_owned(),
        plugin: "p".to_owned(),
        read_only: None,
        destructive: Some(false),
        scopes: vec!["c".to_owned()],
    }
}

/// P09: a token with one claim more is another question, and so is whatever else could change the answer.
#[test]
fn everything_that_an_answer_hangs_on_is_in_the_key() {
    let changes: [&dyn Fn(&mut Question); 25] = [
        &|_| {},
        &|q| q.who.tenant.push('2'),
        &|q| q.who.issuer = None,
        &|q| q.who.issuer = Some(String::new()),
        &|q| q.who.subject = None,
        &|q| q.who.subject = Some("i".to_owned()),
        &|q| (q.who.issuer, q.who.subject) = (Some("is".to_owned()), Some(String::new())),
        &|q| q.who.scopes = vec!["ab".to_owned()],
        &|q| q.who.scopes = vec!["a".to_owned(), "b".to_owned(), String::new()],
        &|q| q.who.scopes.reverse(),
        &|q| q.who.claims = Some("{\"iat\":1}".to_owned()),
        &|q| q.who.claims = None,
        &|q| q.what = Action::ReadResource,
        &|q| q.arguments = None,
        &|q| (q.who.claims, q.arguments) = (None, Some("{}{}".to_owned())),
        &|q| q.targets.reverse(),
        &|q| drop(q.targets.pop()),
        &|q| q.targets.push(target("x")),
        &|q| q.targets[0].kind = TargetKind::Prompt,
        &|q| q.targets[0].server = String::new(),
        &|q| (q.targets[0].name, q.targets[0].plugin) = ("xp".to_owned(), String::new()),
        &|q| q.targets[0].read_only = Some(true),
        &|q| q.targets[0].destructive = None,
        &|q| q.targets[0].scopes = Vec::new(),
        &|q| q.targets[1].scopes = vec!["c".to_owned(), "d".to_owned()],
    ];
    let policies = [identity(Digest::of(b"1"), "{}"), identity(Digest::of(b"2"), "{}"), identity(Digest::of(b"1"), "{ }")];
    let mut keys = std::collections::HashSet::new();
    for change in changes {
        let mut question = question();
        change(&mut question);
        policies.iter().for_each(|policy| assert!(keys.insert(Asked::of(&question).to(policy)), "{question:?}"));
    }
    assert!(keys.contains(&Asked::of(&question()).to(&policies[0])), "the same question is the same");
}

#[test]
fn decisions_are_kept_as_they_are() {
    let (cache, now) = (Cache::new(100), Instant::now());
    let key = Asked::of(&question()).to(&identity(Digest::of(b"1"), "{}"));
    let denied = Decision::Deny(Denial { reason: "r".repeat(1 << 20), missing_scopes: vec!["s".to_owned()] });
    cache.put(key, [denied].into(), now);
    assert!(cache.get(&key, now).is_none(), "their words count");
    let denied = Decision::Deny(Denial { reason: "r".to_owned(), missing_scopes: vec!["s".to_owned()] });
    cache.put(key, [Decision::Allow, denied.clone(), Decision::Abstain].into(), now);
    let found = cache.get(&key, now).map(|decisions| format!("{decisions:?}"));
    assert_eq!(found, Some(format!("{:?}", [Decision::Allow, denied, Decision::Abstain])));
    assert!(cache.get(&key, now + AGE_MAX).is_none());
}

/// What finding a decision costs, in processor time: `cargo test --release -p gatehouse -- --ignored --nocapture what_a_hit_costs`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "its result is for who runs it")]
fn what_a_hit_costs() {
    let (cache, policy) = (Cache::new(10_000), identity(Digest::of(b"1"), "{}"));
    for targets in [1, 100, 1_000] {
        let claims = format!("{{\"aud\":[\"{}\"]}}", "x".repeat(400));
        let question = Question { targets: (0..targets).map(|number| target(&format!("tool_{number}"))).collect(), ..question() };
        let question = Question { who: Principal { claims: Some(claims), ..question.who.clone() }, ..question };
        cache.put(Asked::of(&question).to(&policy), vec![Decision::Allow; targets].into(), Instant::now());
        let rounds = 100_000 / targets;
        let began = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        for _ in 0..rounds {
            assert!(cache.get(&Asked::of(&question).to(&policy), Instant::now()).is_some());
        }
        let ended = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let nanoseconds = (ended.tv_sec - began.tv_sec) * 1_000_000_000 + (ended.tv_nsec - began.tv_nsec);
        println!("{targets} targets: {:.2} µs a hit", nanoseconds as f64 / 1e3 / rounds as f64);
    }
}
