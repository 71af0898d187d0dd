//! A user: whether it may log in, with what, and its rules. Passwords are kept as SHA-256 only.

use super::RuleError;
use super::selector::{Denied, Selector};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub enabled: bool,
    pub no_password: bool,
    passwords: Vec<[u8; 32]>,
    /// Said either way; kept and shown, for we take no payloads on trust.
    sanitize: Option<bool>,
    root: Selector,
    selectors: Vec<Selector>,
}

impl User {
    /// Off, without a password, allowed nothing.
    pub fn new(name: &str) -> Self {
        User {
            name: name.to_owned(),
            enabled: false,
            no_password: false,
            passwords: Vec::new(),
            sanitize: None,
            root: Selector::default(),
            selectors: Vec::new(),
        }
    }

    /// As every connection begins where nothing is configured.
    pub fn default_user() -> Self {
        User { enabled: true, no_password: true, root: Selector::unlimited(), ..User::new("default") }
    }

    /// `requirepass`: this password alone, or none at all.
    pub fn set_password(&mut self, password: Option<&[u8]>) {
        self.passwords.clear();
        self.no_password = password.is_none();
        self.passwords.extend(password.map(hash));
    }

    /// In time that depends on neither the password nor which of them fits.
    pub fn accepts(&self, password: &[u8]) -> bool {
        let given = hash(password);
        let fits = self.passwords.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&given));
        (bool::from(fits) || self.no_password) && self.enabled
    }

    pub fn is_unlimited(&self) -> bool {
        self.root.is_unlimited() || self.selectors.iter().any(Selector::is_unlimited)
    }

    /// One rule of ACL SETUSER.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let is = |name: &str| rule.eq_ignore_ascii_case(name.as_bytes());
        if is("on") {
            self.enabled = true;
        } else if is("off") {
            self.enabled = false;
        } else if is("nopass") {
            self.no_password = true;
            self.passwords.clear();
        } else if is("resetpass") {
            self.no_password = false;
            self.passwords.clear();
        } else if is("skip-sanitize-payload") {
            self.sanitize = Some(false);
        } else if is("sanitize-payload") {
            self.sanitize = Some(true);
        } else if is("reset") {
            *self = User { sanitize: Some(true), ..User::new(&self.name) };
        } else if is("clearselectors") {
            self.selectors.clear();
        } else {
            match rule {
                [b'>', password @ ..] => self.add(hash(password)),
                [b'#', hex @ ..] => self.add(read_hash(hex)?),
                [b'<', password @ ..] => self.remove(&hash(password))?,
                [b'!', hex @ ..] => self.remove(&read_hash(hex)?)?,
                [b'(', inner @ .., b')'] => {
                    let mut selector = Selector::default();
                    for word in inner.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
                        selector.apply(word)?;
                    }
                    self.selectors.push(selector);
                }
                _ => self.root.apply(rule)?,
            }
        }
        Ok(())
    }

    fn add(&mut self, password: [u8; 32]) {
        self.no_password = false;
        if !self.passwords.contains(&password) {
            self.passwords.push(password);
        }
    }

    fn remove(&mut self, password: &[u8; 32]) -> Result<(), RuleError> {
        let at =
            self.passwords.iter().position(|known| known == password).ok_or(RuleError::NoSuchPassword)?;
        self.passwords.remove(at);
        Ok(())
    }

    /// What of the request it may not do; the denial of the rules that came nearest.
    pub fn denies(&self, index: Option<usize>, argv: &[&[u8]], keys: &[usize]) -> Option<Denied> {
        let mut nearest = self.root.denies(index, argv, keys)?;
        for selector in &self.selectors {
            nearest = nearest.max(selector.denies(index, argv, keys)?);
        }
        Some(nearest)
    }

    pub fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        std::iter::once(&self.root)
            .chain(&self.selectors)
            .any(|selector| selector.allows_channel(channel, is_pattern))
    }

    pub fn root(&self) -> &Selector {
        &self.root
    }

    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        flags.extend(self.no_password.then_some("nopass"));
        flags.extend(self.sanitize.map(|on| if on { "sanitize-payload" } else { "skip-sanitize-payload" }));
        flags
    }

    /// SHA-256 in hex.
    pub fn hashes(&self) -> impl Iterator<Item = String> {
        self.passwords.iter().map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// As ACL LIST and an ACL file write it.
    pub fn text(&self) -> String {
        let mut text = format!("user {} {}", self.name, self.flags().join(" "));
        for hash in self.hashes() {
            text.push_str(&format!(" #{hash}"));
        }
        text.push_str(&format!(" {}", self.root.text()));
        for selector in &self.selectors {
            text.push_str(&format!(" ({})", selector.text()));
        }
        text
    }
}

fn hash(password: &[u8]) -> [u8; 32] {
    Sha256::digest(password).into()
}

fn read_hash(hex: &[u8]) -> Result<[u8; 32], RuleError> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(RuleError::BadHash),
    };
    if hex.len() != 64 {
        return Err(RuleError::BadHash);
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(hash)
}

// Hashes of weak passwords are as good as the passwords.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "User({}, {} passwords)", self.name, self.passwords.len())
    }
}
