//! The one majority arithmetic, for votes, ODOWN, freezes and locks.

/// What a count of answers against a needed number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Enough said yes; no later answer can change it.
    Reached,
    /// Not enough yet, but those still silent could make it.
    Pending,
    /// Even if all who are silent said yes it would not be enough.
    Impossible,
}

/// `yes` answers and `silent` voters against `needed`. `needed` 0 is reached at once.
pub const fn verdict(yes: usize, silent: usize, needed: usize) -> Verdict {
    if yes >= needed {
        Verdict::Reached
    } else if yes + silent >= needed {
        Verdict::Pending
    } else {
        Verdict::Impossible
    }
}

/// The smallest number that any two groups of which must share a member.
pub const fn majority(of: usize) -> usize {
    of / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_voters_need_two() {
        assert_eq!(majority(3), 2);
        assert_eq!(verdict(2, 0, majority(3)), Verdict::Reached);
        assert_eq!(verdict(1, 1, majority(3)), Verdict::Pending);
        assert_eq!(verdict(1, 0, majority(3)), Verdict::Impossible);
    }

    #[test]
    fn two_voters_need_both() {
        assert_eq!(majority(2), 2);
        assert_eq!(verdict(1, 0, majority(2)), Verdict::Impossible);
    }
}
