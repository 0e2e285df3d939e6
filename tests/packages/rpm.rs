//! The RPM package, read by rpm itself, and its payload in an empty root. No system of its kind is here: how its scriptlets run
//! there is not shown.

use std::fmt::Write as _;

use crate::built::{is_in_the_readme, rpm, said, same_as_kept};
use crate::support::program::Folder;

#[test]
fn it_holds_what_is_kept() {
    let file = rpm().display().to_string();
    let mut now = String::new();
    for what in
        ["--requires", "--recommends", "--suggests", "--provides", "--configfiles", "--scripts"]
    {
        let text = said("rpm", &["-qp", "--nosignature", what, &file]);
        // Versions of the C library are those of the machine that built it.
        let lines =
            text.lines().filter(|line| !line.contains("(GLIBC_") && !line.contains("(GCC_"));
        let text = lines.collect::<Vec<_>>().join("\n");
        write!(now, "{what}\n{text}\n\n").expect("text");
    }
    let format =
        "[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILEFLAGS:fflags} %{FILENAMES}\\n]";
    let files = said("rpm", &["-qp", "--nosignature", "--qf", format, &file]);
    let mut files: Vec<&str> = files.lines().collect();
    files.sort_by_key(|line| line.rsplit(' ').next());
    write!(now, "files\n{}\n", files.join("\n")).expect("text");
    same_as_kept("rpm.txt", &now);
}

#[test]
fn its_payload_runs_from_an_empty_root() {
    let file = rpm().display().to_string();
    is_in_the_readme(&format!("# rpm -U {file}"));
    let root = Folder::new();
    let at = root.path().display().to_string();
    said("rpm", &["--root", &at, "--install", "--nodeps", "--noscripts", "--nosignature", &file]);
    let program = format!("{at}/usr/bin/egressd");
    assert_eq!(said(&program, &["-V"]), concat!("egressd ", env!("CARGO_PKG_VERSION"), "\n"));
    said(&program, &["config", "check", &format!("{at}/etc/egressd/egressd.toml")]);
    let kept = said("rpm", &["--root", &at, "--verify", "--nodeps", "egressd"]);
    assert_eq!(kept, "", "each file is as it was packed");
}
