//! What COMMAND DOCS tells besides the shape of a command: how its cost grows, and what came to it in which
//! version of Redis. `documents.txt` is the data, a command or subcommand a line: name, cost, and by `;;`
//! the versions with what they brought; read when it is asked for.

const TEXT: &str = include_str!("documents.txt");

#[derive(Clone, Copy, Default)]
pub struct Document {
    /// Empty: it does not grow with anything.
    pub cost: &'static str,
    history: &'static str,
}

impl Document {
    pub fn find(name: &str) -> Document {
        let of = |line: &'static str| {
            let mut columns = line.split('\t');
            let found = columns.next() == Some(name);
            found.then(|| Document {
                cost: columns.next().unwrap_or_default(),
                history: columns.next().unwrap_or_default(),
            })
        };
        TEXT.lines().find_map(of).unwrap_or_default()
    }

    /// Versions, and what came with them; the oldest first.
    pub fn history(&self) -> Vec<(&'static str, &'static str)> {
        self.history.split(";;").filter_map(|change| change.split_once('=')).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_whole_name() {
        let set = Document::find("set");
        assert_eq!(set.cost, "O(1)");
        assert_eq!(set.history().first(), Some(&("2.6.12", "`EX`, `PX`, `NX`, `XX`.")));
        assert_eq!(set.history().len(), 4);
        assert_eq!(Document::find("config|get").cost, "O(N)");
        assert_eq!(Document::find("nosuch").cost, "");
    }
}
