//! What is kept of a library and of its functions.

use crate::server::script::Flags;

/// A loaded library.
#[derive(Clone, Debug)]
pub struct Library {
    pub name: String,
    /// As it was given, first line and all.
    pub text: Vec<u8>,
    pub functions: Vec<Function>,
}

/// A function that a library registered.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub description: Option<Vec<u8>>,
    pub flags: Flags,
    /// Under which number the machine keeps what is called.
    pub callback: u64,
}

/// Letters, digits and underscores, for libraries and functions alike.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

pub const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

/// The names of a function's flags, in the order Redis tells them.
pub fn flag_names(flags: Flags) -> Vec<&'static str> {
    let all = [
        (flags.no_writes, "no-writes"),
        (flags.allow_oom, "allow-oom"),
        (flags.allow_stale, "allow-stale"),
        (flags.no_cluster, "no-cluster"),
        (flags.allow_cross_slot_keys, "allow-cross-slot-keys"),
    ];
    all.into_iter().filter_map(|(set, name)| set.then_some(name)).collect()
}
