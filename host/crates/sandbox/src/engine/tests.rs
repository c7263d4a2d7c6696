use super::*;
use crate::survey::tests::{MODULE, component, section};
use crate::{Asks, Compiler, Growth, Guest, Sandbox, SandboxConfig};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

/// A component whose one function takes and gives nothing.
fn plain() -> Arc<[u8]> {
    let code = section(10, b"\x01\x02\0\x0b");
    let module = [MODULE, &section(1, b"\x01\x60\0\0"), &section(3, b"\x01\0"), &section(7, b"\x01\x01f\0\0"), &code].concat();
    // An instance of the module, its function, a type for that, the function lifted, and exported.
    let sections = [(2, &b"\x01\0\0\0"[..]), (6, b"\x01\0\0\x01\0\x01f"), (7, b"\x01\x40\0\x01\0"), (8, b"\x01\0\0\0\0\0")];
    let sections = sections.map(|(id, content)| section(id, content));
    let exports = section(11, b"\x01\0\x01f\x01\0\0");
    component(&[vec![section(1, &module)], sections.to_vec(), vec![exports]].concat()).into()
}

fn sandbox() -> Sandbox {
    let config = SandboxConfig {
        pools: PoolSizes { fast: 4, heavy: 1, memory_bytes: 0 },
        limits: Limits::default(),
        compiler: Compiler::in_process(Growth::Elided),
        cache: None,
        turns: fair::Places::new(1),
        decision_wall: Duration::from_secs(5),
    };
    Sandbox::new(config).expect("a sandbox").0
}

/// Of everything that compiled code depends on.
fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn engines(compartment: &Compartment) -> [&Engine; 2] {
    [&compartment.0.fast.engine, &compartment.0.heavy.engine]
}

#[tokio::test]
async fn a_strict_compartment_has_engines_places_and_zeroed_stacks_of_its_own() {
    let sandbox = sandbox();
    let (shared, strict) = (sandbox.shared(), sandbox.strict(24).expect("one"));
    for (theirs, ours) in engines(shared).into_iter().zip(engines(&strict)) {
        assert!(!Engine::same(theirs, ours));
        assert!(!theirs.get_async_stack_zeroing() && ours.get_async_stack_zeroing());
        // Only a pool that zeroes its stacks has such a number.
        let zeroed = |engine: &Engine| engine.pooling_allocator_metrics().expect("a pool").unused_stack_bytes_resident().is_some();
        assert!(!zeroed(theirs) && zeroed(ours));
    }
    let places = |compartment: &Compartment, lane| {
        [Profile::Fast, Profile::Heavy].map(|profile| compartment.0.house(profile).places(lane).available_permits())
    };
    assert_eq!((places(shared, Lane::Calls), places(shared, Lane::Decisions)), ([4, 1], [64, 16]));
    assert_eq!((places(&strict, Lane::Calls), places(&strict, Lane::Decisions)), ([24, 16], [16, 4]));
    // Never so many that its pools could not be had.
    assert_eq!(places(&sandbox.strict(4_000).expect("one"), Lane::Calls), [256, 16]);
    assert_eq!(places(&sandbox.strict(3).expect("one"), Lane::Calls), [3, 3]);
}

/// What the compile worker made fits every engine, and is mapped in each by itself.
#[tokio::test]
async fn code_is_compiled_once_and_mapped_in_each_compartment() {
    let sandbox = sandbox();
    let (strict, another) = (sandbox.strict(2).expect("one"), sandbox.strict(300).expect("one"));
    let worker = Engine::new(&config()).expect("an engine");
    for engine in [sandbox.shared(), &strict, &another].into_iter().flat_map(engines) {
        assert_eq!(compatibility(engine), compatibility(&worker));
    }
    let guest = sandbox.load(plain(), &Asks::default(), sandbox.shared()).await.expect("it loads");
    let copy = sandbox.copy(&guest, &strict, None).await.expect("it is copied");
    let code = |guest: &Guest| guest.0.code.pre.component().image_range();
    assert!(guest.is_in(sandbox.shared()) && copy.is_in(&strict) && !copy.is_in(&another));
    assert_eq!((copy.digest(), copy.profile(), copy.offer().functions.len()), (guest.digest(), guest.profile(), 1));
    let (shared, own) = (code(&guest), code(&copy));
    assert!(shared.end <= own.start || own.end <= shared.start, "{shared:?} {own:?}");
    // The lists alone are others: the code goes on.
    let again = sandbox.copy(&guest, &strict, Some(&copy)).await.expect("it is copied");
    assert_eq!(code(&again), own);
    let elsewhere = sandbox.copy(&guest, &another, Some(&copy)).await.expect("it is copied");
    assert_ne!(code(&elsewhere), own);
    // And loaded there from the first it never was in the shared one.
    assert!(sandbox.load(plain(), &Asks::default(), &strict).await.expect("it loads").is_in(&strict));
}

#[tokio::test]
async fn a_compartment_lives_as_long_as_what_is_in_it_and_no_longer() {
    let sandbox = sandbox();
    let strict = sandbox.strict(2).expect("one");
    let weak = engines(&strict).map(Engine::weak);
    assert_eq!(strict.0.ticker.engines(), 4);
    let guest = sandbox.load(plain(), &Asks::default(), &strict).await.expect("it loads");
    drop(strict);
    assert!(weak.iter().all(|engine| engine.upgrade().is_some()), "a guest is there");
    drop(guest);
    let began = Instant::now();
    // The ticker may just be ticking for it, and forgets it when it does next.
    while sandbox.shared().0.ticker.engines() > 2 || weak.iter().any(|engine| engine.upgrade().is_some()) {
        assert!(began.elapsed() < Duration::from_secs(10), "it is still there");
        tokio::task::yield_now().await;
    }
}

#[test]
fn the_heavy_pool_keeps_a_part_of_the_memory_or_nothing() {
    let kept = |memory_bytes| PoolSizes { memory_bytes, ..PoolSizes::default() }.heavy_resident_bytes(48);
    // Forty-eight times 16 MiB are 768, a quarter of 3,072.
    assert_eq!([0, 3_071 << 20, 3_072 << 20, u64::MAX].map(kept), [0, 0, 16 << 20, 16 << 20]);
}
