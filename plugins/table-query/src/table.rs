//! The files that are tables.

use csv::{Reader, ReaderBuilder};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{ErrorKind, Result as Read};

/// As `table-query.toml` asks for it.
const DIRECTORY: &str = "/tables";
const ENDING: &str = ".csv";
/// More tables than these are too many to be told.
const TABLES_MAX: usize = 1_000;
const NOT_GRANTED: &str = "No directory is granted to this tool. The operator of the gateway grants one in its settings: a section \
    [grants.NAME.files] with \"/tables\" = \"/the/directory\".";

/// All of them, by name.
pub fn list() -> Result<Value, String> {
    let entries = fs::read_dir(DIRECTORY).map_err(|_| NOT_GRANTED.to_owned())?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(ENDING)?.to_owned()))
        .take(TABLES_MAX)
        .collect();
    names.sort_unstable();
    // What cannot be read is not listed: it may be a directory, or be gone by now.
    let tables: Vec<_> = names.iter().filter_map(|name| described(name)).collect();
    Ok(json!({ "tables": tables }))
}

fn described(name: &str) -> Option<Value> {
    let (bytes, mut reader) = open(name).ok()?;
    let columns: Vec<_> = columns(&mut reader).ok()?;
    Some(json!({ "table": name, "columns": columns, "bytes": bytes }))
}

/// Its columns, and a reader of its rows.
pub fn read(name: &str) -> Result<(Vec<String>, Reader<File>), String> {
    let (_, mut reader) = open(name).map_err(|error| match error.kind() {
        _ if fs::metadata(DIRECTORY).is_err() => NOT_GRANTED.to_owned(),
        ErrorKind::NotFound => format!("There is no table {name}: list_tables names them all."),
        _ => format!("The table {name} cannot be read: {error}"),
    })?;
    let columns = columns(&mut reader).map_err(|problem| format!("The table {name} is no CSV: {problem}"))?;
    Ok((columns, reader))
}

/// Names are names and no paths: the schema of the tool sees to that, and the directory is all that there is.
fn open(name: &str) -> Read<(u64, Reader<File>)> {
    let file = File::open(format!("{DIRECTORY}/{name}{ENDING}"))?;
    let bytes = file.metadata()?.len();
    Ok((bytes, ReaderBuilder::new().flexible(true).from_reader(file)))
}

/// The first row. Columns without a name, and a second one of a name, cannot be asked for.
fn columns(reader: &mut Reader<File>) -> Result<Vec<String>, String> {
    let header = reader.byte_headers().map_err(|error| error.to_string())?;
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').trim().to_owned();
    Ok(header.iter().map(name).collect())
}
