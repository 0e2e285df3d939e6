//! The packages of this tree, made by the command that people use. What is in them is not looked at here.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Where they are.
const FOLDER: &str = "target/packages";

/// The Debian package of this revision, 1 or 2.
pub(crate) fn deb(revision: u8) -> PathBuf {
    make();
    PathBuf::from(format!("{FOLDER}/egressd_{}-{revision}_amd64.deb", env!("CARGO_PKG_VERSION")))
}

/// The RPM package.
pub(crate) fn rpm() -> PathBuf {
    make();
    PathBuf::from(format!("{FOLDER}/egressd-{}-1.x86_64.rpm", env!("CARGO_PKG_VERSION")))
}

/// One tree in two revisions, as an upgrade takes them.
fn make() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        make_in(FOLDER, 1);
        make_in(FOLDER, 2);
    });
}

/// Makes those of one revision.
pub(crate) fn make_in(folder: &str, revision: u8) {
    let mut command = Command::new("deploy/package/build");
    let made = command.args(["release", &revision.to_string(), folder]).status();
    assert!(made.expect("a shell").success(), "no packages");
}

/// The README has this line.
#[track_caller]
pub(crate) fn is_in_the_readme(line: &str) {
    let readme = std::fs::read_to_string("README.md").expect("it is there");
    assert!(readme.lines().any(|one| one == line), "README.md has no line {line}");
}

/// What a program says of them.
#[track_caller]
pub(crate) fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
    assert!(output.status.success(), "{program} {arguments:?}: {out}{err}");
    out
}

/// Compares with what is kept in `tests/packages/NAME`; what is so now is written beside the packages, to be copied.
#[track_caller]
pub(crate) fn same_as_kept(name: &str, now: &str) {
    let written = format!("{FOLDER}/{name}");
    std::fs::write(&written, now).expect("a file");
    let kept = std::fs::read_to_string(format!("tests/packages/{name}")).unwrap_or_default();
    let only = |one: &str, other: &str| -> Vec<String> {
        one.lines().filter(|line| !other.lines().any(|o| o == *line)).map(str::to_owned).collect()
    };
    let [more, less] = [only(now, &kept), only(&kept, now)];
    assert!(kept == now, "{written} is not as it is kept: {more:#?} more, {less:#?} less");
}
