//! The file of `aclfile`, of a server and of a sentinel alike. Has never heard of what its lines say.

use crate::disk::atomic_file;
use crate::session::acl::Order;
use std::path::Path;

const FILE_BYTES_MAX: u64 = 16 << 20;

pub(super) fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let bytes = atomic_file::read(path, FILE_BYTES_MAX)
        .map_err(|error| format!("cannot read {shown}: {error}"))?
        .ok_or_else(|| {
            format!(
                "{shown} is not there; create it, empty or with a line 'user default on nopass ~* &* +@all'"
            )
        })?;
    String::from_utf8(bytes).map_err(|_| format!("{shown} is not text"))
}

/// What ACL LOAD or SAVE asked for. Rare and small: who calls it waits for the disk.
pub(super) fn carry_out(path: Option<&Path>, order: &Order) -> Result<String, String> {
    let path = path.ok_or("no aclfile is configured")?;
    match order {
        Order::Load => read(path),
        Order::Save { text } => atomic_file::replace(path, text.as_bytes())
            .map(|()| String::new())
            .map_err(|error| format!("cannot write {}: {error}", path.display())),
    }
}
