//! Drop-in: from the rename of a component into the plugin directory until a call of its tool is answered for the first time.

use crate::ROUNDS;
use crate::calls::NO_RATES;
use crate::open::Client;
use crate::report::{Report, Shape, median};
use crate::requests::modern_call;
use crate::servers::{Server, existing};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// A language runtime compiles for some seconds; more than this is no answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);

struct Component {
    name: &'static str,
    file: &'static str,
    tool: &'static str,
    arguments: fn() -> Value,
}

const COMPONENTS: [Component; 2] = [
    Component {
        name: "C, 74 KB",
        file: "target/plugins/chart.wasm",
        tool: "draw_chart",
        arguments: || json!({ "labels": ["a", "b"], "values": [1, 2] }),
    },
    Component {
        name: "Python, 18 MB",
        file: "target/plugins/data-helper.wasm",
        tool: "date_difference",
        arguments: || json!({ "from": "2026-01-01", "to": "2026-07-28" }),
    },
];

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let gateway = Server::gatehouse_with(NO_RATES).await?;
    let title = "drop-in: until the first answer; from the rename into the directory on";
    let table = report.table(title, "component", &[("first, ms", 0), ("cached, ms", 0)], Shape::Bars(0));
    let mut small_ms = f64::NAN;
    for (at, component) in COMPONENTS.iter().enumerate() {
        let bytes = std::fs::read(existing(component.file, "make plugins")?)?;
        let (mut first, mut cached) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // A custom section at the end: another component in every round.
            let mut bytes = bytes.clone();
            bytes.extend([0, 3, 1, b'n', u8::try_from(round)?]);
            first.push(dropped(&gateway, component, &bytes).await?);
            cached.push(dropped(&gateway, component, &bytes).await?);
        }
        let (first, cached) = (median(first), median(cached));
        table.row(component.name, &[first, cached]);
        if at == 0 {
            small_ms = first;
        }
    }
    report.at_most("drop-in: the small component, compiled for it", small_ms, 150.0, "ms");
    Ok(())
}

/// In milliseconds. Afterwards it is gone again.
async fn dropped(gateway: &Server, component: &Component, bytes: &[u8]) -> Result<f64> {
    let folder = gateway.plugins();
    let (place, hidden) = (folder.join("dropped.wasm"), folder.join(".dropped"));
    std::fs::write(&hidden, bytes)?;
    let client = Client::new(gateway.address());
    let began = Instant::now();
    std::fs::rename(&hidden, &place)?;
    answered(&client, component, true).await?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    remove(&place, &client, component).await?;
    Ok(took)
}

async fn remove(place: &Path, client: &Client, component: &Component) -> Result<()> {
    std::fs::remove_file(place)?;
    answered(client, component, false).await
}

/// Until its calls have results, or none.
async fn answered(client: &Client, component: &Component, wanted: bool) -> Result<()> {
    let request = modern_call(component.tool, &(component.arguments)(), None);
    let began = Instant::now();
    while client.exchange(&request).await?.1 != wanted {
        if began.elapsed() > PATIENCE {
            bail!("{} is not as it should be after {} s", component.tool, PATIENCE.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
