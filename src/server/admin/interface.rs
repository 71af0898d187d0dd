//! What Redis 7.0 tells of its commands: flags, key specifications, tips, subcommands, the shape of
//! arguments. Client libraries build routing and completion from it, so it is told in Redis' shape for
//! every command that both have. `interface.txt` is the data, a command or subcommand a line; a line is
//! read when it is asked for, so it takes no memory besides.

use super::documents::Document;
use super::keys::leading_number;
use crate::resp::Writer;
use crate::resp::spec::Arity;
use crate::stdx::number::parse_i64;

/// Columns, by tabs: name, arity, flags, first/last/step, categories, tips, key specifications, group,
/// since, deprecated since, flags of the documentation, what replaces it, arguments.
const TEXT: &str = include_str!("interface.txt");
const COLUMNS: usize = 13;

/// One line.
#[derive(Clone, Copy)]
pub struct Interface<'a> {
    columns: [&'a str; COLUMNS],
}

/// A command or `command|subcommand`, in lower case.
pub fn find(name: &str) -> Option<Interface<'static>> {
    lines().find(|line| line.name() == name)
}

pub fn subcommands(name: &str) -> impl Iterator<Item = Interface<'static>> {
    let of = move |line: &Interface<'static>| {
        line.name().split_once('|').is_some_and(|(container, _)| container == name)
    };
    // Lines are sorted: they stand behind their container.
    lines()
        .skip_while(move |line| line.name() < name)
        .take_while(move |line| line.name().starts_with(name))
        .filter(of)
}

fn lines() -> impl Iterator<Item = Interface<'static>> {
    TEXT.lines().map(|line| {
        let mut columns = [""; COLUMNS];
        columns.iter_mut().zip(line.split('\t')).for_each(|(column, word)| *column = word);
        Interface { columns }
    })
}

fn words(column: &str, separator: char) -> Vec<&str> {
    column.split(separator).filter(|word| !word.is_empty()).collect()
}

fn number(text: &str) -> i64 {
    parse_i64(text.as_bytes()).unwrap_or(0)
}

impl<'a> Interface<'a> {
    pub fn name(&self) -> &'a str {
        self.columns[0]
    }

    /// How many words a request may have.
    pub fn arity(&self) -> Arity {
        let words = number(self.columns[1]);
        let count = usize::try_from(words.unsigned_abs()).unwrap_or(usize::MAX);
        if words < 0 { Arity::AtLeast(count) } else { Arity::Exactly(count) }
    }

    pub fn has_flag(&self, flag: &str) -> bool {
        self.columns[2].split(' ').any(|known| known == flag)
    }

    pub fn categories(&self) -> Vec<&'a str> {
        words(self.columns[4], ' ')
    }

    pub fn key_specs(&self) -> Vec<KeySpec<'a>> {
        words(self.columns[6], '|').into_iter().filter_map(KeySpec::parse).collect()
    }

    /// One entry of COMMAND INFO.
    pub fn info(&self, out: &mut Writer<'_>) {
        let names = |names: Vec<&str>, mark: &str, out: &mut Writer<'_>| {
            out.set(names.len());
            names.iter().for_each(|name| out.simple(&format!("{mark}{name}")));
        };
        out.array(10);
        out.bulk(self.name().as_bytes());
        out.integer(number(self.columns[1]));
        names(words(self.columns[2], ' '), "", out);
        self.columns[3].split(',').for_each(|place| out.integer(number(place)));
        names(self.categories(), "@", out);
        let tips = words(self.columns[5], ';');
        out.set(tips.len());
        tips.iter().for_each(|tip| out.bulk(tip.as_bytes()));
        let specs = self.key_specs();
        out.set(specs.len());
        specs.iter().for_each(|spec| spec.write(out));
        let subcommands: Vec<_> =
            if self.name().contains('|') { Vec::new() } else { subcommands(self.name()).collect() };
        // Redis says an array where there are some, and an empty set where there are none.
        if subcommands.is_empty() {
            out.set(0)
        } else {
            out.array(subcommands.len())
        }
        subcommands.iter().for_each(|line| line.info(out));
    }

    /// The map of COMMAND DOCS, without its name.
    pub fn docs(&self, summary: &str, out: &mut Writer<'_>) {
        let arguments = Argument::parse_all(&mut self.columns[12].chars().peekable());
        let subcommands: Vec<_> =
            if self.name().contains('|') { Vec::new() } else { subcommands(self.name()).collect() };
        let [.., group, since, deprecated, flags, replaced, _] = self.columns;
        let flags = words(flags, ' ');
        let document = Document::find(self.name());
        let history = document.history();
        let optional = [
            deprecated.is_empty(),
            flags.is_empty(),
            replaced.is_empty(),
            document.cost.is_empty(),
            history.is_empty(),
        ];
        let optional = optional.iter().filter(|is_empty| !**is_empty).count();
        out.map(3 + optional + usize::from(!arguments.is_empty()) + usize::from(!subcommands.is_empty()));
        let text = |name: &str, value: &str, out: &mut Writer<'_>| {
            out.bulk(name.as_bytes());
            out.bulk(value.as_bytes());
        };
        text("summary", summary, out);
        text("since", since, out);
        text("group", group, out);
        if !document.cost.is_empty() {
            text("complexity", document.cost, out);
        }
        if !flags.is_empty() {
            out.bulk(b"doc_flags");
            out.set(flags.len());
            flags.iter().for_each(|flag| out.simple(flag));
        }
        if !deprecated.is_empty() {
            text("deprecated_since", deprecated, out);
        }
        if !replaced.is_empty() {
            text("replaced_by", replaced, out);
        }
        if !history.is_empty() {
            out.bulk(b"history");
            out.set(history.len());
            for (version, what) in history {
                out.array(2);
                out.bulk(version.as_bytes());
                out.bulk(what.as_bytes());
            }
        }
        if !arguments.is_empty() {
            out.bulk(b"arguments");
            out.array(arguments.len());
            arguments.iter().for_each(|argument| argument.write(out));
        }
        if !subcommands.is_empty() {
            out.bulk(b"subcommands");
            out.map(subcommands.len());
            for line in subcommands {
                out.bulk(line.name().as_bytes());
                let container = self.name().to_uppercase();
                line.docs(&format!("A form of {container}; {container} HELP lists them."), out);
            }
        }
    }
}

/// Where some keys of a command stand, and what is done with them.
#[derive(Clone, Debug)]
pub struct KeySpec<'a> {
    pub flags: Vec<&'a str>,
    begin: (&'a str, Vec<&'a str>),
    find: (&'a str, Vec<&'a str>),
}

impl<'a> KeySpec<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(' ');
        let flags = words(parts.next()?, ',');
        let mut step = || {
            let (kind, values) = parts.next()?.split_once(':')?;
            Some((kind, words(values, ',')))
        };
        Some(KeySpec { flags, begin: step()?, find: step()? })
    }

    fn write(&self, out: &mut Writer<'_>) {
        out.map(3);
        out.bulk(b"flags");
        out.set(self.flags.len());
        self.flags.iter().for_each(|flag| out.simple(flag));
        for (title, (kind, values)) in [("begin_search", &self.begin), ("find_keys", &self.find)] {
            let names: &[&str] = match *kind {
                "index" => &["index"],
                "keyword" => &["keyword", "startfrom"],
                "range" => &["lastkey", "keystep", "limit"],
                "keynum" => &["keynumidx", "firstkey", "keystep"],
                _ => &[],
            };
            out.bulk(title.as_bytes());
            out.map(2);
            out.bulk(b"type");
            out.bulk(kind.as_bytes());
            out.bulk(b"spec");
            out.map(names.len());
            for (name, value) in names.iter().zip(values) {
                out.bulk(name.as_bytes());
                match *name {
                    "keyword" => out.bulk(value.as_bytes()),
                    _ => out.integer(number(value)),
                }
            }
        }
    }

    /// The request says how many keys it has.
    pub fn is_counted(&self) -> bool {
        self.find.0 == "keynum"
    }

    /// It says so with more than a plain number: keys are then found by the command's own way, which tells
    /// nothing of what is done to them.
    pub fn is_counted_loosely(&self, argv: &[&[u8]]) -> bool {
        let place = |values: &[&str]| values.first().map_or(0, |text| number(text));
        let at = usize::try_from(place(&self.begin.1) + place(&self.find.1)).ok();
        let word = at.and_then(|at| argv.get(at));
        self.is_counted() && word.is_some_and(|word| parse_i64(word).is_none())
    }

    /// Positions in `argv`; `None` where the specification does not say.
    pub fn positions(&self, argv: &[&[u8]]) -> Option<Vec<usize>> {
        let count = argv.len() as i64;
        let value = |values: &[&str], at: usize| values.get(at).map_or(0, |text| number(text));
        let first = match self.begin.0 {
            "index" => value(&self.begin.1, 0),
            "keyword" => {
                let (word, from) = (self.begin.1.first()?, value(&self.begin.1, 1));
                let is = |at: &i64| argv[*at as usize].eq_ignore_ascii_case(word.as_bytes());
                let found = if from > 0 { (from..count).find(is) } else { (1..=count + from).rev().find(is) };
                match found {
                    Some(at) => at + 1,
                    None => return Some(Vec::new()),
                }
            }
            _ => return None,
        };
        let (first, last, step) = match self.find.0 {
            "range" => {
                let (last, step, limit) =
                    (value(&self.find.1, 0), value(&self.find.1, 1), value(&self.find.1, 2));
                let last = match (last, limit) {
                    (0.., _) => first + last,
                    (_, 0 | 1) => count + last,
                    (_, limit) => first + (count - first) / limit + last,
                };
                (first, last, step)
            }
            "keynum" => {
                let (at, skip, step) =
                    (value(&self.find.1, 0), value(&self.find.1, 1), value(&self.find.1, 2));
                let count_word = argv.get(usize::try_from(first + at).ok()?)?;
                let keys = i64::try_from(leading_number(count_word)).unwrap_or(i64::MAX);
                (first + skip, (first + skip).checked_add(keys.checked_sub(1)?.checked_mul(step)?)?, step)
            }
            _ => return None,
        };
        if first < 1 || last >= count {
            return None;
        }
        Some((first..=last).step_by(step.max(1) as usize).map(|at| at as usize).collect())
    }
}

/// One argument of a command, as `(name type k=0 t=TOKEN s=6.2.0 f=optional(..)(..))`.
struct Argument {
    head: String,
    children: Vec<Argument>,
}

impl Argument {
    fn parse_all(text: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Vec<Argument> {
        let mut all = Vec::new();
        while text.next_if_eq(&'(').is_some() {
            let mut head = String::new();
            while let Some(letter) = text.next_if(|letter| !matches!(letter, '(' | ')')) {
                head.push(letter);
            }
            let children = Argument::parse_all(text);
            text.next();
            all.push(Argument { head, children });
        }
        all
    }

    fn write(&self, out: &mut Writer<'_>) {
        let words: Vec<&str> = self.head.split(' ').collect();
        let value = |mark: &str| words[2..].iter().find_map(|word| word.strip_prefix(mark));
        let (key, token, since) = (value("k="), value("t="), value("s="));
        let (deprecated, flags) = (value("d="), value("f="));
        let optional = [key, token, since, deprecated, flags].iter().flatten().count();
        out.map(2 + optional + usize::from(!self.children.is_empty()));
        let text = |name: &str, value: &str, out: &mut Writer<'_>| {
            out.bulk(name.as_bytes());
            out.bulk(value.as_bytes());
        };
        text("name", words[0], out);
        text("type", words.get(1).copied().unwrap_or_default(), out);
        if let Some(key) = key {
            out.bulk(b"key_spec_index");
            out.integer(number(key));
        }
        for (name, value) in [("token", token), ("since", since), ("deprecated_since", deprecated)] {
            if let Some(value) = value {
                text(name, value, out);
            }
        }
        if let Some(flags) = flags {
            let flags = words_of(flags);
            out.bulk(b"flags");
            out.set(flags.len());
            flags.iter().for_each(|flag| out.simple(flag));
        }
        if !self.children.is_empty() {
            out.bulk(b"arguments");
            out.array(self.children.len());
            self.children.iter().for_each(|child| child.write(out));
        }
    }
}

fn words_of(flags: &str) -> Vec<&str> {
    words(flags, ',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_specification() {
        let find = |line: &str| {
            let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let name = String::from_utf8_lossy(argv[0]).to_lowercase();
            let specs = super::find(&name).map(|line| line.key_specs()).unwrap_or_default();
            specs.iter().map(|spec| spec.positions(&argv)).collect::<Vec<_>>()
        };
        assert_eq!(find("GET k"), [Some(vec![1])]);
        assert_eq!(find("MSET a 1 b 2"), [Some(vec![1, 3])]);
        assert_eq!(find("ZUNIONSTORE to 2 a b WEIGHTS 1 2"), [Some(vec![1]), Some(vec![3, 4])]);
        assert_eq!(find("XREAD COUNT 1 STREAMS a b 0 0"), [Some(vec![4, 5])]);
        assert_eq!(find("ZUNIONSTORE to 99999999999 a"), [Some(vec![1]), None]);
        assert_eq!(find("SORT l STORE to"), [Some(vec![1]), None, None]);
    }

    #[test]
    fn every_line_is_whole() {
        for line in TEXT.lines() {
            assert_eq!(line.split('\t').count(), COLUMNS, "{line}");
        }
        let mut out = Vec::new();
        find("sort").unwrap().docs("x", &mut Writer::new(&mut out, crate::resp::Protocol::Resp3));
        assert!(out.ends_with(b"optional\r\n"), "{}", out.escape_ascii());
    }
}
