//! Loaded plugins: how long a start takes from the code cache, what an idle plugin takes of memory, and whether the calls of one notice the others.

use crate::calls::{BYTES, NO_RATES};
use crate::load::rounds;
use crate::report::{Report, Shape};
use crate::requests::modern_echo;
use crate::servers::{Server, existing};
use anyhow::{Result, ensure};
use std::path::Path;
use std::time::Duration;

const COUNTS: [usize; 4] = [1, 10, 100, 1_000];
/// The tool of what is copied. In each copy it has another name, because two plugins cannot have one of the same name; and with it each copy is
/// another component, with machine code of its own.
const TOOL: &str = "draw_chart";

pub(crate) async fn measure(report: &mut Report, each: Duration) -> Result<()> {
    let component = std::fs::read(existing("target/plugins/chart.wasm", "make plugins")?)?;
    // A start that compiles leaves more behind than one that does not.
    let mut gateway = Server::gatehouse_with(&format!("{NO_RATES}[limits]\nplugins_max = 2000\n")).await?.again().await?;
    let folder = gateway.plugins();
    let alone_kb = gateway.resident_kb()?;
    let columns = [("first, ms", 0), ("cached, ms", 0), ("RSS, MiB", 1), ("KiB each", 0), ("echo CPU µs", 1), ("echo p99 µs", 0)];
    let title = format!(
        "scale: plugins of {} KB beside the text toolbox; their start, their memory, and an echo of the toolbox",
        component.len() / 1_000
    );
    let table = report.table(title, "plugins", &columns, Shape::Curve(1));
    let (mut there, mut last) = (0, [f64::NAN; 6]);
    for count in COUNTS {
        while there < count {
            copy(&component, &folder, there)?;
            there += 1;
        }
        // Those that are new are compiled now, and none of them the next time.
        gateway = gateway.again().await?;
        let first = gateway.started();
        gateway = gateway.again().await?;
        let each_kb = gateway.resident_kb()?.saturating_sub(alone_kb) as f64 / count as f64;
        let (resident_mb, cached) = (gateway.resident_kb()? as f64 / 1_024.0, gateway.started());
        let echo = rounds(&gateway, &[modern_echo(BYTES, None)], 16, each).await?;
        last = [first.as_secs_f64() * 1e3, cached.as_secs_f64() * 1e3, resident_mb, each_kb, echo.cpu_us, echo.p99_us];
        table.row(&count.to_string(), &last);
    }
    let [_, cached_ms, _, each_kb, ..] = last;
    report.at_most("scale: 1,000 plugins start from the cache", cached_ms / 1e3, 2.0, "s");
    report.at_most("scale: an idle plugin of them", each_kb, 350.0, "KiB");
    Ok(())
}

/// Puts a copy with another name of its tool into a folder.
fn copy(component: &[u8], folder: &Path, number: usize) -> Result<()> {
    let mut bytes = component.to_vec();
    let name = format!("draw_c{number:04}");
    ensure!(name.len() == TOOL.len(), "a name of another length");
    let found = bytes.windows(TOOL.len()).position(|window| window == TOOL.as_bytes());
    let place = found.and_then(|at| bytes.get_mut(at..at + TOOL.len()));
    let Some(place) = place else { anyhow::bail!("the component does not name its tool {TOOL}") };
    place.copy_from_slice(name.as_bytes());
    Ok(std::fs::write(folder.join(format!("copy-{number}.wasm")), bytes)?)
}
