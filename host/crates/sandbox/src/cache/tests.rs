use super::*;
use crate::engine;
use std::os::unix::fs::symlink;

/// Bytes stand in for code: nothing here maps them.
fn code(byte: u8) -> MachineCode {
    MachineCode(vec![byte; 1_000])
}

struct Fixture {
    directory: tempfile::TempDir,
    engine: Engine,
    component: Digest,
}

impl Fixture {
    fn new() -> Self {
        let engine = Engine::new(&engine::config()).expect("an engine");
        Self { directory: tempfile::tempdir().expect("a directory"), engine, component: Digest::of(b"component") }
    }

    fn cache(&self) -> CodeCache {
        CodeCache::open(&self.directory.path().join("cache"), 1 << 20).expect("a cache")
    }

    fn entry(&self) -> PathBuf {
        self.directory.path().join("cache").join(entry_name(&self.component, Growth::Elided, &self.engine))
    }

    fn get(&self, cache: &CodeCache) -> Option<Vec<u8>> {
        cache.get(&self.component, Growth::Elided, &self.engine).map(|code| code.0)
    }
}

#[test]
fn what_was_put_is_got_after_a_restart() {
    let fixture = Fixture::new();
    fixture.cache().put(&fixture.component, Growth::Elided, &fixture.engine, &code(1));
    assert_eq!(fixture.get(&fixture.cache()), Some(code(1).0));
    assert!(fixture.cache().get(&Digest::of(b"another"), Growth::Elided, &fixture.engine).is_none());
}

#[test]
fn every_changed_byte_is_seen_and_the_entry_removed() {
    let fixture = Fixture::new();
    let cache = fixture.cache();
    cache.put(&fixture.component, Growth::Elided, &fixture.engine, &code(1));
    let good = fs::read(fixture.entry()).expect("it is there");
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        write_whole(&fixture.entry(), 0o400, &[&bad]).expect("written");
        assert_eq!(fixture.get(&cache), None, "byte {at}");
        assert!(!fixture.entry().exists());
    }
    for length in [0, 7, 8, 39, 40, good.len() - 1] {
        write_whole(&fixture.entry(), 0o400, &[&good[..length]]).expect("written");
        assert_eq!(fixture.get(&cache), None, "{length} bytes");
    }
    write_whole(&fixture.entry(), 0o400, &[&good]).expect("written");
    assert!(fixture.get(&cache).is_some());
    assert_eq!(cache.tampered(), good.len().div_ceil(7) as u64 + 6, "each is counted");
}

#[test]
fn another_key_or_another_name_proves_nothing() {
    let (mine, other) = (Fixture::new(), Fixture::new());
    for fixture in [&mine, &other] {
        fixture.cache().put(&fixture.component, Growth::Elided, &fixture.engine, &code(1));
    }
    fs::rename(other.entry(), mine.entry()).expect("moved");
    assert_eq!(mine.get(&mine.cache()), None);
    mine.cache().put(&Digest::of(b"another"), Growth::Elided, &mine.engine, &code(2));
    let another = mine.directory.path().join("cache").join(entry_name(&Digest::of(b"another"), Growth::Elided, &mine.engine));
    fs::rename(another, mine.entry()).expect("moved");
    assert_eq!(mine.get(&mine.cache()), None);
}

/// The engine's settings are part of the name: code with other checks in it is never found.
#[test]
fn other_settings_have_other_names() {
    let plain = Engine::new(&wasmtime::Config::new()).expect("an engine");
    let fixture = Fixture::new();
    let name = |growth, engine| entry_name(&fixture.component, growth, engine);
    assert_ne!(name(Growth::Elided, &plain), name(Growth::Elided, &fixture.engine));
    assert_ne!(name(Growth::AsItIs, &plain), name(Growth::Elided, &plain));
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let fixture = Fixture::new();
    let cache = CodeCache::open(&fixture.directory.path().join("cache"), 2_500).expect("a cache");
    let digests = [1, 2, 3].map(|n: u8| Digest::of(&[n]));
    let age = |digest: &Digest, seconds| {
        let path = cache.directory.join(entry_name(digest, Growth::Elided, &fixture.engine));
        let then = SystemTime::now() - std::time::Duration::from_secs(seconds);
        fs::File::open(path).and_then(|file| file.set_modified(then)).expect("its own");
    };
    for (digest, seconds) in [(&digests[0], 300), (&digests[1], 200)] {
        cache.put(digest, Growth::Elided, &fixture.engine, &code(1));
        age(digest, seconds);
    }
    // A use makes the first one young again.
    assert!(cache.get(&digests[0], Growth::Elided, &fixture.engine).is_some());
    cache.put(&digests[2], Growth::Elided, &fixture.engine, &code(1));
    let kept = digests.map(|digest| cache.get(&digest, Growth::Elided, &fixture.engine).is_some());
    assert_eq!(kept, [true, false, true]);
    assert!(cache.directory.join(KEY_FILE).exists(), "the key is no entry");
}

#[test]
fn gateways_that_begin_together_have_one_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cache");
    let keys: Vec<_> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..8).map(|_| scope.spawn(|| CodeCache::open(&path, 1).expect("a cache").key)).collect();
        opening.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0] && *key != [0; SEAL_BYTES]));
    let left: Vec<_> = fs::read_dir(&path).expect("it is there").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, [KEY_FILE]);
}

#[test]
fn a_directory_that_cannot_be_trusted_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("written");
    assert!(matches!(CodeCache::open(&file, 1), Err(CacheError::Io { .. })));
    let link = directory.path().join("link");
    symlink(directory.path(), &link).expect("a link");
    assert!(matches!(CodeCache::open(&link.join("file/below"), 1), Err(CacheError::Io { .. })));
    let cache = directory.path().join("cache");
    CodeCache::open(&cache, 1).expect("a cache");
    fs::write(cache.join(KEY_FILE), [0; 31]).expect("written");
    let refused = CodeCache::open(&cache, 1).expect_err("31 bytes are no key").to_string();
    assert!(refused.ends_with("it is not a key of 32 bytes; remove it, and compiled code is made again"), "{refused}");
}
