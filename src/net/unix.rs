//! A listening socket in the file system, for clients on the same machine.
//!
//! Promises: nobody gets in before the file has its permissions; a file that is no socket, or a socket
//! that is listened to, is never replaced; the file is removed by its owner and by nobody else.

use super::listener::{Accepted, IoThreads};
use super::service::Service;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;

/// After an accept failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listened to from [`bind`] on; the file is gone when this is dropped.
#[derive(Debug)]
pub struct Bound {
    pub listener: std::os::unix::net::UnixListener,
    pub file: SocketFile,
}

/// The file of a socket. Removed with this, if it is still the one that was made.
#[derive(Debug)]
pub struct SocketFile {
    pub path: PathBuf,
    /// Device and inode.
    made: Option<(u64, u64)>,
}

impl SocketFile {
    fn made(path: &Path) -> Self {
        SocketFile { path: path.to_owned(), made: identity(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.made.is_some() && identity(&self.path) == self.made {
            // Left behind it does no harm: the next start sees that nobody listens.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// `mode`: of the file; `None`: as the umask has it. The error names path and remedy.
pub fn bind(path: &Path, mode: Option<u32>, backlog: u32) -> Result<Bound, String> {
    let fail = |what: &str| format!("unixsocket '{}': {what}", path.display());
    if path.as_os_str().is_empty() {
        return Err(fail("the path is empty"));
    }
    let address = SockAddr::unix(path).map_err(|error| fail(&format!("{error}; choose a shorter path")))?;
    let make = || -> io::Result<Bound> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&address)?;
        let file = SocketFile::made(path);
        if let Some(mode) = mode {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        socket.set_nonblocking(true)?;
        Ok(Bound { listener: socket.into(), file })
    };
    let made = match make() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_abandoned(path).map_err(|why| fail(&why))?;
            make()
        }
        made => made,
    };
    made.map_err(|error| {
        fail(&format!(
            "cannot listen there ({error}); its directory must exist and this user may write to it"
        ))
    })
}

/// What a process that was killed left behind.
fn remove_abandoned(path: &Path) -> Result<(), String> {
    let kind = fs::symlink_metadata(path).map(|meta| meta.file_type());
    if !kind.is_ok_and(|kind| kind.is_socket()) {
        return Err("there is a file that is no socket; move it away, or choose another path".into());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| format!("an abandoned socket cannot be removed: {error}"))
        }
        _ => Err("another process listens there; stop it, or choose another path".into()),
    }
}

/// Accepts for ever.
pub async fn accept(
    listener: std::os::unix::net::UnixListener,
    path: Arc<str>,
    threads: Arc<IoThreads>,
    service: Arc<impl Service>,
) -> io::Error {
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Ok(stream) = stream.into_std() {
                    threads.serve(Accepted::Unix(stream, path.clone()), service.clone());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                service.cannot_accept(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_socket_is_replaced_only_when_nobody_listens_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.sock");
        let bound = bind(&path, Some(0o700), 16).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        UnixStream::connect(&path).unwrap();
        assert!(bind(&path, None, 16).unwrap_err().contains("another process listens"));
        drop(bound);
        assert!(!path.exists(), "removed by its owner");

        // As a killed process leaves it.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let bound = bind(&path, None, 16).unwrap();
        UnixStream::connect(&path).unwrap();
        // Somebody else's by now.
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"a text").unwrap();
        drop(bound);
        assert!(path.exists());
        assert!(bind(&path, None, 16).unwrap_err().contains("no socket"));
        assert!(bind(&dir.path().join("none/data.sock"), None, 16).unwrap_err().contains("directory"));
        assert!(bind(&dir.path().join("x".repeat(200)), None, 16).unwrap_err().contains("shorter"));
    }
}
