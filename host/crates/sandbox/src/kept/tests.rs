use super::*;
use crate::survey::tests::{MODULE, component, section};
use crate::{Asks, Call, Compartment, Compiler, Finished, Grants, Growth, Guest, Permit, PoolSizes, Sandbox, SandboxConfig, Share, Work};

/// A component of four instances of a module with a memory of 5 MiB, which makes it a large one; its one function takes and gives nothing. `name`
/// tells it from others.
fn large(name: u8) -> Arc<[u8]> {
    let (memory, code) = (section(5, b"\x01\0\x50"), section(10, b"\x01\x02\0\x0b"));
    let module = [MODULE, &section(1, b"\x01\x60\0\0"), &section(3, b"\x01\0"), &memory, &section(7, b"\x01\x01f\0\0"), &code].concat();
    // Instances of the module, the function of the first, a type for that, the function lifted, and exported.
    let sections =
        [(2, &b"\x04\0\0\0\0\0\0\0\0\0\0\0\0"[..]), (6, b"\x01\0\0\x01\0\x01f"), (7, b"\x01\x40\0\x01\0"), (8, b"\x01\0\0\0\0\0")];
    let sections = sections.map(|(id, content)| section(id, content));
    let (exports, named) = (section(11, b"\x01\0\x01f\x01\0\0"), section(0, &[1, name]));
    component(&[vec![section(1, &module)], sections.to_vec(), vec![exports, named]].concat()).into()
}

/// Whoever calls.
struct Site {
    sandbox: Sandbox,
    reuse: Reuse,
    share: Share,
}

impl Site {
    fn new() -> Self {
        let config = SandboxConfig {
            pools: PoolSizes { fast: 4, heavy: 1, memory_bytes: 0 },
            limits: Limits::default(),
            compiler: Compiler::in_process(Growth::Elided),
            cache: None,
            turns: fair::Places::new(1),
            decision_wall: Duration::from_secs(5),
        };
        let (sandbox, _) = Sandbox::new(config).expect("a sandbox");
        Self { sandbox, reuse: Reuse::new(100), share: Share::default() }
    }

    async fn load(&self, name: u8, compartment: &Compartment) -> Guest {
        self.sandbox.load(large(name), &Asks::default(), compartment).await.expect("it loads")
    }

    async fn call(&self, guest: &Guest, whose: &str) -> Finished {
        let work = Work::CallTool { name: "f".to_owned(), arguments: "{}".to_owned() };
        let grants = Grants { reuse: Some(self.reuse.clone()), ..Grants::none() };
        let call = Call {
            caller: crate::contract::Caller { tenant: String::new(), subject: None, scopes: Vec::new(), claims: None },
            client: crate::contract::ClientFeatures::empty(),
            resume: None,
            meta: None,
            limits: Limits::default(),
            events: None,
            outgoing: None,
            keyvalue: None,
            refusals: None,
            learner: None,
            spent: Arc::default(),
            share: self.share.clone(),
            claim: None,
            whose: Some(whose.into()),
        };
        self.sandbox.call(Permit { guest: guest.clone(), work, grants }, call).await
    }

    /// Calls, and lets the instance wait.
    async fn keeps(&self, guest: &Guest, whose: &str) {
        let finished = self.call(guest, whose).await;
        assert!(finished.outcome.is_ok(), "{finished:?}");
        finished.again.keep();
    }
}

/// Ten of four memories each are all that a strict compartment's pool has for its twenty places.
#[tokio::test]
async fn parts_that_wait_are_given_up_as_places_are() {
    let site = Site::new();
    let strict = site.sandbox.strict(16).expect("one");
    let (one, other) = (site.load(b'1', &strict).await, site.load(b'2', &strict).await);
    assert_eq!(one.profile(), crate::Profile::Heavy);
    for caller in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        site.keeps(&one, caller).await;
    }
    for caller in ["a", "b"] {
        site.keeps(&other, caller).await;
    }
    assert_eq!((site.sandbox.kept(), site.sandbox.reused()), (10, 0));
    site.keeps(&other, "c").await;
    assert_eq!(site.sandbox.kept(), 1, "there was no memory left in the pool");
    site.keeps(&other, "c").await;
    assert_eq!((site.sandbox.kept(), site.sandbox.reused()), (1, 1));
}

/// An answer that nobody judged, and one that is judged after everything was dropped, leave nothing.
#[tokio::test]
async fn only_what_is_said_to_be_right_waits() {
    let site = Site::new();
    let guest = site.load(b'1', site.sandbox.shared()).await;
    let finished = site.call(&guest, "a").await;
    assert_eq!(site.sandbox.kept(), 1, "in doubt");
    let meanwhile = site.call(&guest, "a").await;
    assert_eq!((site.sandbox.reused(), meanwhile.outcome.is_ok()), (0, true), "nobody has one in doubt, and its place is free");
    drop((finished, meanwhile));
    assert_eq!(site.sandbox.kept(), 0);

    let finished = site.call(&guest, "a").await;
    site.sandbox.drop_kept();
    finished.again.keep();
    assert_eq!(site.sandbox.kept(), 0);
    site.keeps(&guest, "a").await;
    // Of another grant, though it says the same.
    let another = Site { reuse: Reuse::new(100), ..site };
    another.keeps(&guest, "a").await;
    assert_eq!(another.sandbox.reused(), 0);
}
