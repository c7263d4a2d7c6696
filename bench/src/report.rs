//! What was measured: tables that are printed row by row as they grow, and bars that hold or are broken. Both are written down as JSON at the end.

use crate::conditions::Conditions;
use crate::{chart, print};
use anyhow::Result;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A column: its head, and how many decimals its numbers have.
pub(crate) type Column = (&'static str, usize);

/// How a table is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A bar for each row, as long as this column says.
    Bars(usize),
    /// A line over the number that each row has for a name, up to what this column says.
    Curve(usize),
}

/// Rows of numbers, each with a name.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<(String, Vec<f64>)>,
    pub(crate) shape: Shape,
}

impl Table {
    /// Adds a row and prints it. A number that is not there is NaN.
    pub(crate) fn row(&mut self, name: &str, numbers: &[f64]) {
        let cells = self.columns.iter().zip(numbers).map(|((_, decimals), number)| match number.is_nan() {
            true => format!("{:>13}", "-"),
            false => format!("{number:>13.decimals$}"),
        });
        print(&format!("{name:<38}{}", cells.collect::<String>()));
        self.rows.push((name.to_owned(), numbers.to_vec()));
    }
}

/// What is promised, and what was found.
#[derive(Debug)]
struct Bar {
    promise: String,
    found: String,
    held: bool,
}

/// Everything of one run.
#[derive(Debug)]
pub(crate) struct Report {
    conditions: Conditions,
    tables: Vec<Table>,
    bars: Vec<Bar>,
}

impl Report {
    /// Prints under which conditions it is made.
    pub(crate) fn begin(conditions: Conditions) -> Self {
        print(&conditions.to_string());
        Self { conditions, tables: Vec::new(), bars: Vec::new() }
    }

    /// Begins a table and prints its head. `of` says what the rows are.
    pub(crate) fn table(&mut self, title: impl Into<String>, of: &str, columns: &[Column], shape: Shape) -> &mut Table {
        let title = title.into();
        let heads: String = columns.iter().map(|(head, _)| format!("{head:>13}")).collect();
        print(&format!("\n{title}\n{of:<38}{heads}"));
        let table = Table { title, columns: columns.to_vec(), rows: Vec::new(), shape };
        self.tables.push(table);
        let last = self.tables.len() - 1;
        // It was pushed a line ago.
        self.tables.get_mut(last).expect("a table")
    }

    /// A bar: `found` is at most `most`.
    pub(crate) fn at_most(&mut self, what: &str, found: f64, most: f64, unit: &str) {
        // NaN holds no bar.
        self.bar(format!("{what}: at most {most} {unit}"), format!("{found:.2} {unit}"), found <= most);
    }

    /// A bar: `found` is at least `least`.
    pub(crate) fn at_least(&mut self, what: &str, found: f64, least: f64, unit: &str) {
        self.bar(format!("{what}: at least {least} {unit}"), format!("{found:.2} {unit}"), found >= least);
    }

    fn bar(&mut self, promise: String, found: String, held: bool) {
        self.bars.push(Bar { promise, found, held });
    }

    /// Prints the bars, and writes everything to `target/bench/NAME.json` and `.svg`. Says whether all bars were held.
    pub(crate) fn end(&self, name: &str) -> Result<bool> {
        if !self.bars.is_empty() {
            print("\nbars");
        }
        for Bar { promise, found, held } in &self.bars {
            print(&format!("  {} {promise}   (found: {found})", if *held { "held  " } else { "BROKEN" }));
        }
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"));
        std::fs::create_dir_all(&folder)?;
        let (data, picture) = (folder.join(format!("{name}.json")), folder.join(format!("{name}.svg")));
        std::fs::write(&data, format!("{:#}\n", self.json()))?;
        chart::draw(&picture, &self.conditions.to_string(), &self.tables)?;
        print(&format!("\nwritten: target/bench/{name}.json, target/bench/{name}.svg"));
        Ok(self.bars.iter().all(|bar| bar.held))
    }

    fn json(&self) -> Value {
        let table = |table: &Table| {
            let row = |(name, numbers): &(String, Vec<f64>)| {
                let cells = table.columns.iter().zip(numbers).map(|((head, _), number)| ((*head).to_owned(), json!(number)));
                json!({ "name": name, "numbers": cells.collect::<serde_json::Map<_, _>>() })
            };
            json!({ "title": table.title, "rows": table.rows.iter().map(row).collect::<Vec<_>>() })
        };
        let bar = |bar: &Bar| json!({ "promise": bar.promise, "found": bar.found, "held": bar.held });
        json!({
            "conditions": self.conditions.json(),
            "tables": self.tables.iter().map(table).collect::<Vec<_>>(),
            "bars": self.bars.iter().map(bar).collect::<Vec<_>>(),
        })
    }
}

/// The middle one.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
