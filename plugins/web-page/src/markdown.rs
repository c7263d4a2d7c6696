//! HTML → Markdown: headings, paragraphs, lists, quotes, code, tables, links. What stands around a page's own text is left out.
//!
//! Pages are tag soup, and some are hostile: whatever is nested too deep, never closed or closed twice changes how the text looks, and nothing else.

use crate::link::Address;
use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use std::mem::take;

/// Quotes and lists inside of each other.
const LEVELS_MAX: usize = 16;
/// Markdown may be longer than its page: each line of a link has the address. Nobody reads on from here.
const MARKDOWN_BYTES_MAX: usize = 8 << 20;

/// The Markdown of a page; empty where it has no text.
pub fn of_html(html: &str, address: &Address) -> String {
    let mut emitter = DefaultEmitter::default();
    // Otherwise what looks like tags in a script would be some.
    emitter.naively_switch_states(true);
    let mut writer = Writer::new(address);
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        match token {
            Token::StartTag(tag) => writer.open(&tag),
            Token::EndTag(tag) => writer.close(&tag.name),
            Token::String(text) => writer.text(&String::from_utf8_lossy(&text)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
        if writer.out.len() > MARKDOWN_BYTES_MAX {
            break;
        }
    }
    writer.end()
}

#[derive(Clone, PartialEq)]
enum Kind {
    Strong,
    Emphasis,
    Strike,
    Code,
    /// With its address; none where it leads nowhere.
    Link(Option<String>),
}

impl Kind {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"strong" | b"b" => Self::Strong,
            b"em" | b"i" | b"var" => Self::Emphasis,
            b"del" | b"s" | b"strike" => Self::Strike,
            b"code" | b"tt" => Self::Code,
            b"a" => Self::Link(None),
            _ => return None,
        })
    }

    fn is_like(&self, other: &Self) -> bool {
        self == other || matches!((self, other), (Self::Link(_), Self::Link(_)))
    }
}

/// A part of the line that is not closed yet. No two of a kind are open at once.
struct Mark {
    kind: Kind,
    /// Where it begins in the line, in bytes.
    begin: usize,
}

enum Level {
    Quote,
    /// With the number of its next item, if they are numbered.
    List(Option<u64>),
    /// With its marker until something stands behind it.
    Item {
        marker: Option<String>,
        width: usize,
    },
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    /// What stands in the cell that is open.
    cell: Option<String>,
    /// Tables inside of this one, whose cells are text of its own cells.
    inner: usize,
}

struct Writer<'a> {
    address: &'a Address,
    title: Option<String>,
    in_title: bool,
    out: String,
    /// The text of the block that is open.
    line: String,
    marks: Vec<Mark>,
    /// What is left out until it ends, and how many of that name are open.
    left_out: Option<(Vec<u8>, usize)>,
    /// The level of the heading that is open, or 0.
    heading: usize,
    levels: Vec<Level>,
    /// Whether the last block was in a list.
    after_item: bool,
    /// Code as it stands, with its language.
    code: Option<(String, String)>,
    table: Option<Table>,
}

impl<'a> Writer<'a> {
    fn new(address: &'a Address) -> Self {
        Self {
            address,
            title: None,
            in_title: false,
            out: String::new(),
            line: String::new(),
            marks: Vec::new(),
            left_out: None,
            heading: 0,
            levels: Vec::new(),
            after_item: false,
            code: None,
            table: None,
        }
    }

    fn end(mut self) -> String {
        self.end_code();
        self.end_table();
        self.flush();
        let title = self.title.unwrap_or_default();
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        // Many pages have their title as a heading too.
        if title.is_empty() || self.out.is_empty() || self.out.starts_with("# ") || self.out.contains("\n# ") {
            return self.out;
        }
        format!("# {title}\n\n{}", self.out)
    }

    fn open(&mut self, tag: &StartTag<()>) {
        let name: &[u8] = &tag.name;
        if let Some((left_out, open)) = &mut self.left_out {
            *open += usize::from(left_out.as_slice() == name && !tag.self_closing);
            return;
        }
        if let Some((code, language)) = &mut self.code {
            match name {
                b"br" => code.push('\n'),
                b"code" => *language = attribute(tag, b"class").and_then(|class| language_of(&class)).unwrap_or_default(),
                _ => {}
            }
            return;
        }
        match name {
            _ if is_left_out(name) => {
                if !tag.self_closing {
                    self.left_out = Some((name.to_vec(), 1));
                }
            }
            b"title" => self.in_title = self.title.is_none(),
            b"br" => self.line.push('\n'),
            b"img" => self.image(tag),
            b"pre" if self.table.is_none() => {
                self.flush();
                self.code = Some((String::new(), String::new()));
            }
            b"table" | b"tr" | b"td" | b"th" => self.open_cell(name),
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => {
                self.flush();
                self.heading = usize::from(name[1] - b'0');
            }
            b"hr" => {
                self.flush();
                self.block("---");
            }
            b"blockquote" => self.open_level(Level::Quote),
            b"ul" | b"menu" => self.open_level(Level::List(None)),
            b"ol" => {
                let start = attribute(tag, b"start").and_then(|start| start.trim().parse().ok());
                self.open_level(Level::List(Some(start.unwrap_or(1))));
            }
            b"li" => self.open_item(),
            _ => match Kind::of(name) {
                Some(kind) => self.mark(kind, tag),
                None if is_inline(name) => {}
                None => self.flush(),
            },
        }
    }

    fn close(&mut self, name: &[u8]) {
        if let Some((left_out, open)) = &mut self.left_out {
            *open -= usize::from(left_out.as_slice() == name);
            if *open == 0 {
                self.left_out = None;
            }
            return;
        }
        if self.code.is_some() {
            if name == b"pre" {
                self.end_code();
            }
            return;
        }
        match name {
            b"title" => self.in_title = false,
            b"table" => match &mut self.table {
                Some(table) if table.inner > 0 => table.inner -= 1,
                _ => self.end_table(),
            },
            b"td" | b"th" | b"tr" => {
                if self.table.as_ref().is_some_and(|table| table.inner == 0) {
                    self.end_cell();
                } else {
                    self.flush();
                }
            }
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => {
                self.flush();
                self.heading = 0;
            }
            b"blockquote" => self.close_level(|level| matches!(level, Level::Quote)),
            b"ul" | b"ol" | b"menu" => self.close_level(|level| matches!(level, Level::List(_))),
            b"li" => self.close_item(),
            _ => match Kind::of(name) {
                Some(kind) => self.unmark(&kind),
                None if is_inline(name) => {}
                None => self.flush(),
            },
        }
    }

    fn text(&mut self, text: &str) {
        if self.left_out.is_some() {
            return;
        }
        if self.in_title {
            self.title.get_or_insert_default().push_str(text);
            return;
        }
        if let Some((code, _)) = &mut self.code {
            code.push_str(text);
            return;
        }
        let raw = self.marks.iter().any(|mark| mark.kind == Kind::Code);
        for c in text.chars() {
            let last = self.line.chars().next_back();
            if c.is_whitespace() {
                if last.is_some_and(|last| last != ' ' && last != '\n') {
                    self.line.push(' ');
                }
                continue;
            }
            let means_something = match c {
                '\\' | '`' | '*' | '[' | ']' | '<' => true,
                // Within a word it is a letter.
                '_' => !last.is_some_and(char::is_alphanumeric),
                _ => false,
            };
            if means_something && !raw {
                self.line.push('\\');
            }
            if !c.is_control() {
                self.line.push(c);
            }
        }
    }

    fn image(&mut self, tag: &StartTag<()>) {
        let source = attribute(tag, b"src").and_then(|source| self.address.link(&source));
        let alternative = attribute(tag, b"alt").unwrap_or_default().replace(['[', ']', '\\', '\n'], " ");
        if let Some(source) = source.filter(|_| !alternative.trim().is_empty()) {
            self.line.push_str(&format!("![{}]({source})", alternative.trim()));
        }
    }

    fn mark(&mut self, kind: Kind, tag: &StartTag<()>) {
        // Within code nothing means anything; and one in another of its kind is the same.
        if self.marks.iter().any(|mark| mark.kind == Kind::Code || mark.kind.is_like(&kind)) {
            return;
        }
        let kind = match kind {
            Kind::Link(_) => Kind::Link(attribute(tag, b"href").and_then(|reference| self.address.link(&reference))),
            kind => kind,
        };
        self.marks.push(Mark { kind, begin: self.line.len() });
    }

    /// Ends a mark, and those inside of it.
    fn unmark(&mut self, kind: &Kind) {
        let Some(outermost) = self.marks.iter().position(|mark| mark.kind.is_like(kind)) else { return };
        for mark in self.marks.split_off(outermost).into_iter().rev() {
            self.wrap(&mark);
        }
    }

    /// Puts a mark around what it has of the line, and no blanks inside of it.
    fn wrap(&mut self, mark: &Mark) {
        let text = self.line.split_off(mark.begin);
        let inner = text.trim();
        let code = "`".repeat(longest_run(inner, '`') + 1);
        let (open, close) = match &mark.kind {
            Kind::Strong => ("**", "**".to_owned()),
            Kind::Emphasis => ("*", "*".to_owned()),
            Kind::Strike => ("~~", "~~".to_owned()),
            Kind::Code => (code.as_str(), code.clone()),
            Kind::Link(Some(address)) => ("[", format!("]({address})")),
            Kind::Link(None) => ("", String::new()),
        };
        if inner.is_empty() {
            self.line.push_str(&text);
            return;
        }
        let (before, after) = (text.len() - text.trim_start().len(), text.trim_end().len());
        for part in [&text[..before], open, inner, &close, &text[after..]] {
            self.line.push_str(part);
        }
    }

    /// Ends the block. Marks that are open go on in the next one.
    fn flush(&mut self) {
        let marks = take(&mut self.marks);
        for mark in marks.iter().rev() {
            self.wrap(mark);
        }
        self.marks = marks.into_iter().map(|mark| Mark { begin: 0, ..mark }).collect();
        let line = take(&mut self.line);
        let lines: Vec<_> = line.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return;
        }
        if let Some(cell) = self.table.as_mut().and_then(|table| table.cell.as_mut()) {
            if !cell.is_empty() {
                cell.push(' ');
            }
            cell.push_str(&lines.join(" "));
            return;
        }
        let text = match self.heading {
            0 => lines.into_iter().map(guarded).collect::<Vec<_>>().join("\n"),
            level => format!("{} {}", "#".repeat(level), lines.join(" ")),
        };
        self.block(&text);
    }

    /// Writes a block where its quotes and lists have it.
    fn block(&mut self, text: &str) {
        let begins = self.levels.iter().any(|level| matches!(level, Level::Item { marker: Some(_), .. }));
        if !self.out.is_empty() {
            self.out.push_str(if begins && self.after_item { "\n" } else { "\n\n" });
        }
        for (at, line) in text.lines().enumerate() {
            let mut prefix = String::new();
            for level in &mut self.levels {
                match level {
                    Level::Quote => prefix.push_str("> "),
                    Level::List(_) => {}
                    Level::Item { marker, width } => match marker.take() {
                        Some(marker) => prefix.push_str(&marker),
                        None => prefix.push_str(&" ".repeat(*width)),
                    },
                }
            }
            if at > 0 {
                self.out.push('\n');
            }
            self.out.push_str(if line.is_empty() { prefix.trim_end() } else { &prefix });
            self.out.push_str(line);
        }
        self.after_item = self.levels.iter().any(|level| matches!(level, Level::Item { .. }));
    }

    fn open_level(&mut self, level: Level) {
        self.flush();
        if self.levels.len() < LEVELS_MAX {
            self.levels.push(level);
        }
    }

    fn close_level(&mut self, is_it: impl Fn(&Level) -> bool) {
        self.flush();
        if let Some(at) = self.levels.iter().rposition(is_it) {
            self.levels.truncate(at);
        }
    }

    fn open_item(&mut self) {
        self.close_item();
        let number = match self.levels.iter_mut().rev().find(|level| matches!(level, Level::List(_))) {
            Some(Level::List(Some(next))) => {
                let number = *next;
                *next = next.saturating_add(1);
                Some(number)
            }
            _ => None,
        };
        let marker = number.map_or_else(|| "- ".to_owned(), |number| format!("{number}. "));
        self.open_level(Level::Item { width: marker.len(), marker: Some(marker) });
    }

    /// Ends the item of the innermost list, if one is open.
    fn close_item(&mut self) {
        self.flush();
        let at = self.levels.iter().rposition(|level| !matches!(level, Level::Quote));
        if let Some(at) = at.filter(|at| matches!(self.levels[*at], Level::Item { .. })) {
            self.levels.truncate(at);
        }
    }

    fn end_code(&mut self) {
        let Some((code, language)) = self.code.take() else { return };
        let code = code.strip_prefix('\n').unwrap_or(&code).trim_end();
        if !code.is_empty() {
            let fence = "`".repeat(longest_run(code, '`').max(2) + 1);
            self.block(&format!("{fence}{language}\n{code}\n{fence}"));
        }
    }

    fn open_cell(&mut self, name: &[u8]) {
        match &mut self.table {
            Some(table) if name == b"table" => {
                table.inner += 1;
                self.flush();
            }
            Some(table) if table.inner > 0 => self.flush(),
            None if name == b"table" => {
                self.flush();
                self.table = Some(Table::default());
            }
            None => self.flush(),
            Some(_) => {
                self.end_cell();
                if let Some(table) = &mut self.table {
                    if name == b"tr" {
                        table.rows.push(Vec::new());
                    } else {
                        table.cell = Some(String::new());
                    }
                }
            }
        }
    }

    fn end_cell(&mut self) {
        self.flush();
        let Some(table) = &mut self.table else { return };
        let Some(cell) = table.cell.take() else { return };
        match table.rows.last_mut() {
            Some(row) => row.push(cell),
            None => table.rows.push(vec![cell]),
        }
    }

    fn end_table(&mut self) {
        self.end_cell();
        let Some(table) = self.table.take() else { return };
        let rows: Vec<_> = table.rows.into_iter().filter(|row| row.iter().any(|cell| !cell.is_empty())).collect();
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        // With one column it is there for its looks.
        if columns < 2 {
            for cell in rows.iter().flatten() {
                self.block(&guarded(cell));
            }
            return;
        }
        let mut text = String::new();
        for (at, row) in rows.iter().enumerate() {
            let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
            if at == 0 {
                text.push_str(&format!("|{}\n", " --- |".repeat(columns)));
            }
        }
        self.block(text.trim_end());
    }
}

/// What has no text for a reader, or is the same on each page of a site.
fn is_left_out(name: &[u8]) -> bool {
    let around = matches!(name, b"aside" | b"dialog" | b"footer" | b"nav");
    let drawn = matches!(name, b"iframe" | b"math" | b"object" | b"svg");
    around || drawn || matches!(name, b"button" | b"noscript" | b"script" | b"select" | b"style" | b"template")
}

/// Whether it runs on within a line. All others end the one before them.
fn is_inline(name: &[u8]) -> bool {
    let words =
        matches!(name, b"abbr" | b"acronym" | b"cite" | b"data" | b"dfn" | b"ins" | b"kbd" | b"mark" | b"q" | b"samp" | b"time" | b"u");
    let looks = matches!(name, b"bdi" | b"bdo" | b"big" | b"font" | b"small" | b"span" | b"sub" | b"sup" | b"wbr");
    words || looks || matches!(name, b"input" | b"label" | b"rp" | b"rt" | b"ruby")
}

fn attribute(tag: &StartTag<()>, name: &[u8]) -> Option<String> {
    tag.attributes.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
}

/// As highlighters name it: `class="language-rust"`.
fn language_of(class: &str) -> Option<String> {
    let language = class.split_whitespace().find_map(|class| class.strip_prefix("language-"))?;
    language.chars().all(|c| c.is_ascii_alphanumeric() || "+-#".contains(c)).then(|| language.to_owned())
}

fn longest_run(text: &str, of: char) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == of { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// A line whose beginning would make a heading, a quote or a list of it.
fn guarded(line: &str) -> String {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = line.split_at(digits);
    if (1..=9).contains(&digits) && rest.starts_with(['.', ')']) {
        return format!("{number}\\{rest}");
    }
    let listed = line.starts_with(['-', '+']) && line[1..].chars().next().is_none_or(|next| next == ' ' || next == '-');
    if listed || line.starts_with(['#', '>', '=']) { format!("\\{line}") } else { line.to_owned() }
}
