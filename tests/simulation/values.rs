//! A set of written values. They are small and dense, so a bit each: sets of a whole data set are made at
//! each promotion and thrown away.

#[derive(Clone, Debug, Default)]
pub struct Values {
    words: Vec<u64>,
}

impl Values {
    pub fn insert(&mut self, value: u64) {
        let at = (value / 64) as usize;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        self.words[at] |= 1 << (value % 64);
    }

    pub fn contains(&self, value: u64) -> bool {
        self.words.get((value / 64) as usize).is_some_and(|word| word >> (value % 64) & 1 == 1)
    }

    /// Keeps what both have.
    pub fn keep(&mut self, other: &Values) {
        for (at, word) in self.words.iter_mut().enumerate() {
            *word &= other.words.get(at).copied().unwrap_or(0);
        }
    }

    /// The least value that is here and in `held`, and not in `present`.
    pub fn first_lost(&self, held: &Values, present: &Values) -> Option<u64> {
        self.words.iter().zip(&held.words).enumerate().find_map(|(at, (word, held))| {
            let lost = word & held & !present.words.get(at).copied().unwrap_or(0);
            (lost != 0).then(|| at as u64 * 64 + u64::from(lost.trailing_zeros()))
        })
    }

    /// The greatest ones, downwards.
    pub fn newest(&self) -> impl Iterator<Item = u64> + '_ {
        self.words.iter().enumerate().rev().flat_map(|(at, &word)| {
            (0..64).rev().filter(move |bit| word >> bit & 1 == 1).map(move |bit| at as u64 * 64 + bit)
        })
    }
}

impl Extend<u64> for Values {
    fn extend<T: IntoIterator<Item = u64>>(&mut self, values: T) {
        for value in values {
            self.insert(value);
        }
    }
}

impl FromIterator<u64> for Values {
    fn from_iter<T: IntoIterator<Item = u64>>(values: T) -> Self {
        let mut set = Values::default();
        set.extend(values);
        set
    }
}

#[test]
fn a_set_of_values_is_a_set() {
    let promised: Values = [3, 64, 200].into_iter().collect();
    let (held, present): (Values, Values) = ([64, 200].into_iter().collect(), [200].into_iter().collect());
    assert_eq!(promised.first_lost(&held, &present), Some(64));
    assert_eq!(promised.first_lost(&held, &held), None);
    assert_eq!(promised.newest().collect::<Vec<_>>(), [200, 64, 3]);
    let mut kept = promised.clone();
    kept.keep(&present);
    assert_eq!(kept.newest().collect::<Vec<_>>(), [200]);
    assert!(promised.contains(3) && !promised.contains(4) && !promised.contains(100_000));
}
