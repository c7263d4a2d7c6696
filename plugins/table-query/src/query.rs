//! A question about one table, and its answer. The file is read once, from its beginning to its end; what is kept of it is what may be returned.

use crate::cell::Cell;
use crate::table;
use csv::ByteRecord;
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::HashMap;

/// More of them are no summary.
const GROUPS_MAX: usize = 10_000;

#[derive(Deserialize)]
pub struct Question {
    table: String,
    #[serde(default, rename = "where")]
    conditions: Vec<Condition>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    compute: Vec<Compute>,
    #[serde(default)]
    order_by: Vec<OrderBy>,
    #[serde(default = "rows_max")]
    rows_max: usize,
}

fn rows_max() -> usize {
    100
}

#[derive(Deserialize)]
struct Condition {
    column: String,
    is: Relation,
    value: Option<Value>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
enum Relation {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = ">")]
    More,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "contains")]
    Contains,
    #[serde(rename = "empty")]
    Empty,
    #[serde(rename = "not_empty")]
    NotEmpty,
}

#[derive(Deserialize)]
struct Compute {
    function: Function,
    column: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Function {
    Count,
    Sum,
    Mean,
    Min,
    Max,
}

#[derive(Deserialize)]
struct OrderBy {
    column: String,
    #[serde(default)]
    descending: bool,
}

type Row = Vec<Cell>;

pub fn answer(question: &Question) -> Result<Value, String> {
    let (columns, mut reader) = table::read(&question.table)?;
    let at = |name: &String| {
        let found = columns.iter().position(|column| column == name);
        found.ok_or_else(|| format!("The table {} has no column {name}. It has: {}.", question.table, columns.join(", ")))
    };
    let conditions =
        question.conditions.iter().map(|condition| Test::of(condition, at(&condition.column)?)).collect::<Result<Vec<_>, _>>()?;
    let chosen: Vec<usize> = match question.columns.as_slice() {
        [] if question.compute.is_empty() => (0..columns.len()).collect(),
        names => names.iter().map(at).collect::<Result<_, _>>()?,
    };
    let computed =
        question.compute.iter().map(|compute| Ok((compute.function, compute.source(at)?))).collect::<Result<Vec<_>, String>>()?;
    let named: Vec<String> =
        chosen.iter().filter_map(|at| columns.get(*at).cloned()).chain(question.compute.iter().map(Compute::name)).collect();
    let mut kept = Kept::new(order(&question.order_by, &named)?, question.rows_max);
    let mut groups = Groups::default();

    let (mut record, mut rows_read) = (ByteRecord::new(), 0_u64);
    while reader.read_byte_record(&mut record).map_err(|error| format!("The table {} is no CSV: {error}", question.table))? {
        rows_read += 1;
        if !conditions.iter().all(|test| test.holds(&cell(&record, test.column))) {
            continue;
        }
        let row: Row = chosen.iter().map(|at| cell(&record, *at)).collect();
        if computed.is_empty() {
            kept.add(row);
        } else {
            groups.add(row, &record, &computed)?;
        }
    }
    if !computed.is_empty() {
        groups.finish(&computed, question.columns.is_empty()).for_each(|row| kept.add(row));
    }
    let rows_found = kept.found;
    let rows: Vec<Vec<Value>> = kept.first().iter().map(|row| row.iter().map(Cell::to_json).collect()).collect();
    Ok(json!({ "columns": named, "is_cut": rows_found > rows.len(), "rows_read": rows_read, "rows_found": rows_found, "rows": rows }))
}

/// A row that is too short has empty cells at its end.
fn cell(record: &ByteRecord, at: usize) -> Cell {
    record.get(at).map_or(Cell::Empty, |bytes| Cell::read(&String::from_utf8_lossy(bytes)))
}

/// A condition, with its column found and its value read.
struct Test {
    column: usize,
    is: Relation,
    value: Cell,
}

impl Test {
    fn of(condition: &Condition, column: usize) -> Result<Self, String> {
        let needs = !matches!(condition.is, Relation::Empty | Relation::NotEmpty);
        let value = match &condition.value {
            Some(Value::String(text)) if condition.is == Relation::Contains => Cell::Text(text.to_lowercase()),
            Some(Value::String(text)) => Cell::read(text),
            Some(Value::Number(number)) if condition.is == Relation::Contains => Cell::Text(number.to_string()),
            Some(other) => other.as_f64().map_or(Cell::Empty, Cell::Number),
            None if needs => return Err(format!("The condition on {} needs a value.", condition.column)),
            None => Cell::Empty,
        };
        Ok(Self { column, is: condition.is, value })
    }

    /// What is empty is less or more than nothing, and neither is a text than a number.
    fn holds(&self, cell: &Cell) -> bool {
        let order = (cell.rank() == self.value.rank() && *cell != Cell::Empty).then(|| cell.compare(&self.value));
        match self.is {
            Relation::Equal => *cell == self.value,
            Relation::NotEqual => *cell != self.value,
            Relation::Less => order == Some(Ordering::Less),
            Relation::AtMost => order.is_some_and(Ordering::is_le),
            Relation::More => order == Some(Ordering::Greater),
            Relation::AtLeast => order.is_some_and(Ordering::is_ge),
            Relation::Contains => match (cell, &self.value) {
                (Cell::Text(text), Cell::Text(part)) => text.to_lowercase().contains(part.as_str()),
                (Cell::Number(number), Cell::Text(part)) => number.to_string().contains(part.as_str()),
                _ => false,
            },
            Relation::Empty => *cell == Cell::Empty,
            Relation::NotEmpty => *cell != Cell::Empty,
        }
    }
}

impl Compute {
    fn source(&self, at: impl Fn(&String) -> Result<usize, String>) -> Result<Option<usize>, String> {
        match &self.column {
            Some(column) => at(column).map(Some),
            None if self.function == Function::Count => Ok(None),
            None => Err(format!("{} needs a column.", self.function.name())),
        }
    }

    fn name(&self) -> String {
        let function = self.function.name();
        self.column.as_ref().map_or_else(|| function.into(), |column| format!("{function}({column})"))
    }
}

impl Function {
    const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// Rows with the same cells in the chosen columns, in the order of their first ones.
#[derive(Default)]
struct Groups {
    places: HashMap<String, usize>,
    groups: Vec<(Row, Vec<Sum>)>,
}

/// What is known of one column of a group.
#[derive(Clone, Default)]
struct Sum {
    count: u64,
    numbers: u64,
    sum: f64,
    least: Option<Cell>,
    most: Option<Cell>,
}

impl Groups {
    fn add(&mut self, row: Row, record: &ByteRecord, computed: &[(Function, Option<usize>)]) -> Result<(), String> {
        let key = Value::from_iter(row.iter().map(Cell::to_json)).to_string();
        let place = *self.places.entry(key).or_insert(self.groups.len());
        if place == GROUPS_MAX {
            return Err(format!("There are more than {GROUPS_MAX} groups. Choose fewer columns, or pick rows with `where`."));
        }
        if place == self.groups.len() {
            self.groups.push((row, vec![Sum::default(); computed.len()]));
        }
        let sums = self.groups.get_mut(place).into_iter().flat_map(|(_, sums)| sums);
        for (sum, (_, column)) in sums.zip(computed) {
            sum.add(column.map(|at| cell(record, at)));
        }
        Ok(())
    }

    /// A row for each. Where nothing is grouped by there is one, even of no rows.
    fn finish(mut self, computed: &[(Function, Option<usize>)], is_one: bool) -> impl Iterator<Item = Row> {
        if is_one && self.groups.is_empty() {
            self.groups.push((Row::new(), vec![Sum::default(); computed.len()]));
        }
        self.groups.into_iter().map(move |(mut row, sums)| {
            row.extend(sums.iter().zip(computed).map(|(sum, (function, _))| sum.of(*function)));
            row
        })
    }
}

impl Sum {
    /// A cell, or a row as such.
    fn add(&mut self, cell: Option<Cell>) {
        let Some(cell) = cell else {
            self.count += 1;
            return;
        };
        if cell == Cell::Empty {
            return;
        }
        self.count += 1;
        if let Cell::Number(number) = &cell {
            self.numbers += 1;
            self.sum += number;
        }
        if self.least.as_ref().is_none_or(|least| cell.compare(least).is_lt()) {
            self.least = Some(cell.clone());
        }
        if self.most.as_ref().is_none_or(|most| cell.compare(most).is_gt()) {
            self.most = Some(cell);
        }
    }

    /// Texts have no sum and no mean.
    fn of(&self, function: Function) -> Cell {
        let finite = |number: f64| if number.is_finite() { Cell::Number(number) } else { Cell::Empty };
        match function {
            Function::Count => finite(self.count as f64),
            Function::Sum => finite(self.sum),
            Function::Mean if self.numbers > 0 => finite(self.sum / self.numbers as f64),
            Function::Mean => Cell::Empty,
            Function::Min => self.least.clone().unwrap_or(Cell::Empty),
            Function::Max => self.most.clone().unwrap_or(Cell::Empty),
        }
    }
}

/// Columns of the result by their places, and whether the greatest comes first.
type Order = Vec<(usize, bool)>;

fn order(by: &[OrderBy], named: &[String]) -> Result<Order, String> {
    let place = |one: &OrderBy| {
        let found = named.iter().position(|name| *name == one.column);
        let place = found.ok_or_else(|| format!("The result has no column {}. It has: {}.", one.column, named.join(", ")))?;
        Ok((place, one.descending))
    };
    by.iter().map(place).collect()
}

/// The first rows of all that there are; no more than twice as many are ever held.
struct Kept {
    order: Order,
    rows: Vec<Row>,
    rows_max: usize,
    found: usize,
}

impl Kept {
    fn new(order: Order, rows_max: usize) -> Self {
        Self { order, rows: Vec::new(), rows_max, found: 0 }
    }

    fn add(&mut self, row: Row) {
        self.found += 1;
        if self.order.is_empty() && self.rows.len() == self.rows_max {
            return;
        }
        self.rows.push(row);
        if self.rows.len() >= self.rows_max.saturating_mul(2) {
            self.cut();
        }
    }

    /// Rows that are equal stay in the order of the file.
    fn cut(&mut self) {
        let order = &self.order;
        self.rows.sort_by(|a, b| {
            let one = |(at, descending): &(usize, bool)| {
                let cells = a.get(*at).zip(b.get(*at));
                let ordering = cells.map_or(Ordering::Equal, |(a, b)| a.compare(b));
                if *descending { ordering.reverse() } else { ordering }
            };
            order.iter().map(one).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
        });
        self.rows.truncate(self.rows_max);
    }

    fn first(&mut self) -> &[Row] {
        self.cut();
        &self.rows
    }
}
