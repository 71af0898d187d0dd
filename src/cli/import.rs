//! `vedette import sentinel.conf`: writes the sentinel.yaml that means the same, and says what was left
//! out. The file that is read stays as it is.

use super::daemons::FleetOptions;
use super::{Failure, print};
use crate::config::sentinel_conf::{self, Import};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub(super) fn run(file: &Path, fleet: &FleetOptions, out: Option<&PathBuf>) -> Result<(), Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    let import = sentinel_conf::import(&text, &fleet.as_fleet()).map_err(|errors| {
        errors.iter().for_each(|error| eprintln!("{shown}: {error}"));
        Failure::said(2)
    })?;
    for line in &import.left_out {
        eprintln!("{shown}: left out: {line}");
    }
    let secrets = passwords(&import);
    let yaml = with_password_files(&import, out.map(PathBuf::as_path));
    let Some(out) = out else {
        for (name, _) in &secrets {
            eprintln!("{shown}: a password was left out: write it into the file {name} (mode 0600)");
        }
        return print(yaml);
    };
    let folder = out.parent().unwrap_or(Path::new("."));
    write(out, &yaml, 0o644)?;
    for (name, password) in &secrets {
        write(&folder.join(name), &format!("{password}\n"), 0o600)?;
        eprintln!("{}: holds a password", folder.join(name).display());
    }
    print(format!("{}: written; check it with: vedette check {}\n", out.display(), out.display()))
}

/// File names, and what is to stand in them.
fn passwords(import: &Import) -> Vec<(String, String)> {
    let own = import
        .secrets
        .requirepass
        .iter()
        .map(|secret| ("requirepass".to_owned(), secret.expose().to_owned()));
    let login = import.secrets.sentinel_pass.iter();
    let own = own.chain(login.map(|secret| ("sentinel-login.pass".to_owned(), secret.expose().to_owned())));
    let masters = import.secrets.masters.iter();
    own.chain(masters.map(|(name, (_, secret))| (format!("{name}.pass"), secret.expose().to_owned())))
        .collect()
}

/// The text with the keys that name those files, each below its group.
fn with_password_files(import: &Import, out: Option<&Path>) -> String {
    let folder = out.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()));
    let path = |name: &str| folder.as_ref().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
    let mut text = format!(
        "# Written by vedette import. Every key is explained in the sentinel.yaml that Vedette comes with.\n\n{}",
        import.yaml
    );
    for (name, (user, _)) in &import.secrets.masters {
        let head = format!("  - name: {}\n", serde_json::Value::from(name.as_str()));
        let user =
            user.as_ref().map(|user| format!("    auth-user: {}\n", serde_json::Value::from(user.as_str())));
        let file = format!("    auth-pass-file: {:?}\n", path(&format!("{name}.pass")));
        text = text.replace(&head, &format!("{head}{}{file}", user.unwrap_or_default()));
    }
    if import.secrets.requirepass.is_some() {
        text.push_str(&format!("\nrequirepass-file: {:?}\n", path("requirepass")));
    }
    if import.secrets.sentinel_pass.is_some() {
        text.push_str(&format!("\nsentinel-pass-file: {:?}\n", path("sentinel-login.pass")));
    }
    text
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::new(format!(
            "{} exists already, and is not overwritten; name another with -o",
            path.display()
        )),
        _ => Failure::new(format!("cannot write {}: {error}", path.display())),
    };
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
