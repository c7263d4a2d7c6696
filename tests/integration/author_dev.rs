//! `gatehouse dev`: a component that is served while it is written.

use super::author::Desk;
use crate::harness::binary;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A first build compiles all that the folder depends on.
const BUILT_WITHIN: Duration = Duration::from_secs(400);

struct Dev {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Dev {
    fn start(desk: &Desk, folder: &str) -> Self {
        let mut command = desk.command(binary());
        command.args(["dev", folder, "--listen", "127.0.0.1:0"]);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let child = command.stderr(writer.try_clone().expect("a pipe")).stdout(writer).spawn().expect("it starts");
        // Its writing end stays with the child alone.
        drop(command);
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                heard.lock().expect("not poisoned").push_str(&format!("{line}\n"));
            }
        });
        Self { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().expect("not poisoned").clone()
    }

    /// Waits until it has said something so often.
    fn hears(&self, text: &str, times: usize) {
        let began = Instant::now();
        while self.said().matches(text).count() < times {
            assert!(began.elapsed() < BUILT_WITHIN, "{text:?} is not said {times} times: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_change_is_served_and_the_last_good_one_stays() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["new", "live", "--lang", "rust", "--plain"]).code, 0);
    let mut dev = Dev::start(&desk, "live");
    dev.hears("✓ serving", 1);
    let said = dev.said();
    let url = said.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:")).expect("an address").to_owned();
    let call = |text: &str| desk.run(&["call", "live_reading_time", "--url", &url, "--arg", &format!("text={text}"), "--json"]);
    let words = |text: &str| call(text).json()["structuredContent"]["words"].clone();
    assert_eq!(words("one two"), 2);
    dev.hears("✓ live_reading_time", 1);
    assert!(dev.said().contains("{\"text\":\"one two\"}   result   "), "{}", dev.said());
    assert_eq!(call("").code, 1);
    dev.hears("{\"text\":\"\"}   tool error   ", 1);

    let source = desk.path().join("live/src/lib.rs");
    let good = fs::read_to_string(&source).expect("a source");
    fs::write(&source, good.replace("fn reading_time", "fn reding_time")).expect("written");
    dev.hears("✗ not built: the last good version goes on", 1);
    assert!(dev.said().contains("not all trait items implemented"), "{}", dev.said());
    assert_eq!(words("one two"), 2);

    fs::write(&source, good.replace(".count() as u64", ".count() as u64 + 40")).expect("written");
    dev.hears("✓ serving", 2);
    assert_eq!(words("one two"), 42);

    let pid = rustix::process::Pid::from_raw(i32::try_from(dev.child.id()).expect("a pid")).expect("not 0");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    assert!(dev.child.wait().expect("it ends").success(), "{}", dev.said());
}

#[test]
fn it_is_for_ones_own_machine() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["new", "live", "--lang", "c"]).code, 0);
    let refused = desk.run(&["dev", "live", "--listen", "0.0.0.0:0"]);
    assert!(refused.code == 64 && refused.err.contains("0.0.0.0:0 can be reached from other machines"), "{refused:?}");
}
