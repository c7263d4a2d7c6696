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

fn key(number: u32) -> Key {
    Sha256::digest(number.to_le_bytes()).into()
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
fn what_is_kept_is_found_until_its_time_is_over() {
    let (cache, now) = (Cache::new(100), Instant::now());
    let denied = Decision::Deny(Denial { reason: "r".to_owned(), missing_scopes: vec!["s".to_owned()] });
    let words = |decisions: Option<Arc<[Decision]>>| decisions.map(|decisions| format!("{decisions:?}"));
    assert!(cache.get(&key(1), now).is_none());
    cache.put(key(1), [Decision::Allow, denied.clone(), Decision::Abstain].into(), now);
    let expected = Some(format!("{:?}", [Decision::Allow, denied, Decision::Abstain]));
    assert_eq!(words(cache.get(&key(1), now)), expected);
    // Decided once more by somebody who began earlier: the time of the first counts.
    let soon = now + AGE_MAX - Duration::from_millis(1);
    cache.put(key(1), [Decision::Abstain].into(), soon);
    assert_eq!(words(cache.get(&key(1), soon)), expected);
    assert!(cache.get(&key(1), now + AGE_MAX).is_none() && cache.get(&key(2), now).is_none());
    assert_eq!(cache.counts(), CacheCounts { hits: 2, misses: 3 });
}

#[test]
fn the_oldest_make_room() {
    let now = Instant::now();
    for entries_max in [1, 16, 100] {
        let cache = Cache::new(entries_max);
        (0..1_000).for_each(|number| cache.put(key(number), [Decision::Allow].into(), now));
        let kept: usize = cache.shards.iter().map(|shard| shard.lock().decisions.len()).sum();
        assert!(kept <= entries_max && kept > 0, "{kept} of {entries_max}");
        assert!(cache.get(&key(999), now).is_some());
    }
    let off = Cache::new(0);
    off.put(key(1), [Decision::Allow].into(), now);
    assert!(!off.is_on() && off.get(&key(1), now).is_none());
}

#[test]
fn long_answers_are_bounded_by_their_bytes() {
    let (cache, now) = (Cache::new(1_000_000), Instant::now());
    let long =
        |bytes: usize| -> Arc<[Decision]> { [Decision::Deny(Denial { reason: "r".repeat(bytes), missing_scopes: Vec::new() })].into() };
    cache.put(key(0), long(BYTES_MAX), now);
    assert!(cache.get(&key(0), now).is_none(), "one that would take all places is not kept");
    (0..2_000).for_each(|number| cache.put(key(number), long(64 << 10), now));
    for shard in &cache.shards {
        let shard = shard.lock();
        let bytes: usize = shard.order.iter().map(|(_, _, bytes)| bytes).sum();
        assert!(shard.bytes == bytes && bytes <= BYTES_MAX / SHARDS && shard.decisions.len() == shard.order.len());
    }
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
