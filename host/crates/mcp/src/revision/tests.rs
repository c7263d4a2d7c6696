use super::{Era, Revision, UnknownRevision};

#[test]
fn names() {
    for revision in Revision::HANDSHAKE.iter().chain(Revision::MODERN) {
        assert_eq!(revision.to_string().parse(), Ok(*revision));
    }
    for name in ["", "2025-3-26", " 2025-03-26", "2026-07-28 ", "2099-01-01", "DRAFT"] {
        assert_eq!(name.parse::<Revision>(), Err(UnknownRevision));
    }
}

#[test]
fn the_lists_are_the_eras() {
    assert!(Revision::HANDSHAKE.iter().all(|revision| revision.era() == Era::Legacy));
    assert!(Revision::MODERN.iter().all(|revision| revision.era() == Era::Modern));
}

#[test]
fn negotiation() {
    for revision in Revision::HANDSHAKE {
        assert_eq!(Revision::negotiate(revision.as_str()), *revision);
    }
    for other in ["2026-07-28", "2099-01-01", "", "1.0"] {
        assert_eq!(Revision::negotiate(other), Revision::V2025_11_25);
    }
}

/// Which of the five say yes, oldest first.
#[track_caller]
fn check(question: impl Fn(Revision) -> bool, expected: &str) {
    let all = Revision::HANDSHAKE.iter().chain(Revision::MODERN);
    let answers: String = all.map(|revision| if question(*revision) { 'y' } else { '-' }).collect();
    assert_eq!(answers, expected);
}

#[test]
fn predicates() {
    check(Revision::accepts_batches, "-y---");
    check(Revision::disconnect_cancels, "----y");
    check(Revision::argument_errors_are_results, "---yy");
    check(Revision::structured_output, "--yyy");
    check(Revision::structured_may_be_any_json, "----y");
    check(Revision::icons, "---yy");
    check(Revision::titles, "--yyy");
    check(Revision::meta_on_items, "--yyy");
    check(Revision::resource_links, "--yyy");
    check(Revision::audio, "-yyyy");
    check(Revision::annotations, "-yyyy");
    check(Revision::progress_messages, "-yyyy");
    check(Revision::completions_capability, "-yyyy");
    check(Revision::primes_streams, "---y-");
    check(Revision::result_type, "----y");
    check(Revision::cache_hints, "----y");
    check(Revision::server_info_in_results, "----y");
    check(Revision::extensions, "----y");
    check(Revision::server_requests, "yyyy-");
    check(Revision::handshake_methods, "yyyy-");
}
