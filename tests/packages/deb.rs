//! The Debian package: what is in it, what lintian says, and a life from installation to purge on a machine of its own.

use std::fmt::Write as _;
use std::fs;

use crate::built::{deb, is_in_the_readme, make_in, rpm, said, same_as_kept};
use crate::support::booted::Bed;
use crate::support::program::Folder;

/// Fields, files and scripts, each in its place.
#[test]
fn it_holds_what_is_kept() {
    let file = deb(1).display().to_string();
    let mut now = said("dpkg-deb", &["--field", &file]);
    // What the machine that built it decides: its C library, the size of its code.
    now = now
        .lines()
        .map(|line| match line.split_once(": ") {
            Some(("Installed-Size", _)) => "Installed-Size: …\n".to_owned(),
            Some(("Depends", on)) => {
                let names = on.split(", ").map(|one| one.split(' ').next().unwrap_or_default());
                format!("Depends: {}\n", names.collect::<Vec<_>>().join(", "))
            }
            _ => format!("{line}\n"),
        })
        .collect();
    for part in ["conffiles", "postinst", "prerm", "postrm"] {
        let text = said("dpkg-deb", &["--info", &file, part]);
        if part == "conffiles" {
            write!(now, "\n{part}\n{text}\n").expect("text");
        } else {
            let source = fs::read_to_string(format!("deploy/package/deb/{part}")).expect("ours");
            assert_eq!(text.trim_end(), source.trim_end(), "{part}");
        }
    }
    let contents = said("dpkg-deb", &["--contents", &file]);
    let files = contents.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[5..].join(" "), format!("{} {}", words[0], words[1]))
    });
    let mut files: Vec<(String, String)> = files.collect();
    files.sort();
    for (name, mode) in files {
        writeln!(now, "{mode} {name}").expect("text");
    }
    same_as_kept("deb.txt", &now);
}

#[test]
fn two_builds_are_the_same() {
    let again = Folder::new();
    make_in(&again.path().display().to_string(), 1);
    for file in [deb(1), rpm()] {
        let other = again.path().join(file.file_name().expect("a name"));
        let [one, other] = [&file, &other].map(|file| fs::read(file).expect("a package"));
        assert!(one == other, "{} differs", file.display());
    }
}

#[test]
fn lintian_finds_nothing() {
    let file = deb(1).display().to_string();
    let found = said(
        "lintian",
        &[
            "--profile",
            "debian",
            "--allow-root",
            "--fail-on",
            "none",
            "--tag-display-limit",
            "0",
            &file,
        ],
    );
    assert_eq!(found, "");
}

/// A sample's value, whatever the labels are.
fn sample(metrics: &str, begin: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(begin));
    let line = line.unwrap_or_else(|| panic!("no {begin} in {metrics}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

/// The machine, and what this test asks of it.
struct Machine(Bed);

impl Machine {
    /// And what is said meanwhile.
    fn install(&self, revision: u8) -> String {
        let name = format!("/root/{revision}.deb");
        self.0.put(&name, "0644", fs::read(deb(revision)).expect("a package"));
        self.0.must(&format!("DEBIAN_FRONTEND=noninteractive dpkg -i {name} 2>&1"))
    }

    fn property(&self, name: &str) -> String {
        self.0.must(&format!("systemctl show -P {name} egressd.service")).trim_end().to_owned()
    }

    /// What systemctl says, with whatever status.
    fn is(&self, what: &str) -> String {
        self.0.sh(&format!("systemctl is-{what} egressd.service")).stdout.trim_end().to_owned()
    }

    fn get(&self, place: &str) -> String {
        self.0.must(&format!("curl -fsS http://127.0.0.1:9737{place}"))
    }

    /// Ours by name, below the folders where packages, services and their states are.
    fn left(&self) -> String {
        self.0.must(
            "find /etc /usr /var /run -xdev -name '*egressd*' | sort; \
             getent passwd egressd || true; getent group egressd || true",
        )
    }
}

#[test]
fn it_is_installed_configured_upgraded_removed_and_purged() {
    is_in_the_readme(&format!("# dpkg -i {}", deb(1).display()));
    let Some(bed) = Bed::boot_without() else { return };
    let machine = Machine(bed);
    assert_eq!(machine.left(), "", "it begins without a trace");

    machine.install(1);
    assert_eq!([machine.is("enabled"), machine.is("active")], ["enabled", "active"]);
    assert_eq!(machine.get("/-/healthy"), "healthy\n");
    lies_at_its_places(&machine);

    // An administrator's own words.
    machine.0.must("sed -i '1i site = \"tokyo-2\"' /etc/egressd/egressd.toml");
    machine
        .0
        .must("echo secret > /etc/egressd/own-key; egressd config check; systemctl reload egressd");
    machine.0.wait_for(&["-u", "egressd.service"], "anthropic via direct");
    let before = machine.get("/metrics");
    let process = machine.property("MainPID");

    machine.install(2);
    assert_eq!([machine.is("enabled"), machine.is("active")], ["enabled", "active"]);
    assert_ne!(machine.property("MainPID"), process, "the new one runs");
    let words = machine.0.must("cat /etc/egressd/egressd.toml");
    assert!(words.starts_with("site = \"tokyo-2\"\n"), "{words}");
    let after = machine.get("/metrics");
    assert!(after.contains("site=\"tokyo-2\""), "{after}");
    let since = "egressd_verdict_since_timestamp_seconds{";
    assert!((sample(&after, since) - sample(&before, since)).abs() < 0.001, "{before}{after}");
    let checks = "egressd_checks_total{";
    assert!(sample(&after, checks) >= sample(&before, checks), "{before}{after}");

    // Who has disabled it is not overruled by an upgrade.
    machine.0.must("systemctl disable --now egressd");
    machine.install(1);
    assert_eq!([machine.is("enabled"), machine.is("active")], ["disabled", "inactive"]);
    machine.0.must("systemctl enable --now egressd");

    a_mistake_does_not_end_it(&machine);

    machine.0.must("dpkg --remove egressd 2>&1");
    assert_eq!(machine.is("active"), "inactive");
    assert_eq!(machine.0.must("cat /etc/egressd/egressd.toml"), words);
    machine.0.must("test ! -e /usr/bin/egressd; test -s /var/lib/private/egressd/state.json");

    machine.0.must("dpkg --purge egressd 2>&1");
    assert_eq!(
        machine.left(),
        "/etc/egressd\n",
        "nothing is left, and for the administrator's own key:"
    );
    assert_eq!(machine.0.must("ls -A /etc/egressd"), "own-key\n");
}

/// An upgrade that finds a mistake in the configuration says where, and leaves running what runs.
fn a_mistake_does_not_end_it(machine: &Machine) {
    let process = machine.property("MainPID");
    machine.0.must(
        "cp -p /etc/egressd/egressd.toml /root/; echo '[mistake' >> /etc/egressd/egressd.toml",
    );
    let said = machine.install(2);
    assert!(said.contains("/etc/egressd/egressd.toml:"), "{said}");
    let why = "egressd: not restarted, the former version runs on; when that is mended: ";
    assert!(said.contains(&format!("{why}systemctl restart egressd\n")), "{said}");
    assert_eq!([machine.is("active"), machine.property("MainPID")], ["active", &process]);

    // So does the rpm's scriptlet: a helper of its distributions would mark it.
    machine.0.put("/root/postun", "0644", fs::read("deploy/package/rpm/postun").expect("ours"));
    machine.0.put("/usr/lib/systemd/systemd-update-helper", "0755", "#!/bin/sh\necho \"$@\"\n");
    let postun = |left: &str| machine.0.must(&format!("sh /root/postun {left} 2>&1"));
    assert!(postun("1").ends_with(&format!("{why}systemctl restart egressd\n")));

    // One that does not run is no other for it, and is said too.
    machine.0.must("systemctl stop egressd");
    let said = machine.install(1);
    assert!(said.contains("egressd: not restarted: systemctl status egressd\n"), "{said}");
    assert_eq!(machine.is("active"), "failed");

    machine.0.must("cp -p /root/egressd.toml /etc/egressd/");
    machine.install(2);
    assert_eq!(machine.is("active"), "active");
    assert_eq!(postun("1"), "mark-restart-system-units egressd.service\n");
    assert_eq!(postun("0"), "", "it is removed");
}

/// What an administrator looks for where the distribution keeps such things.
fn lies_at_its_places(machine: &Machine) {
    let conffiles = machine.0.must("dpkg-query -W -f '${Conffiles}' egressd");
    assert!(conffiles.trim_start().starts_with("/etc/egressd/egressd.toml "), "{conffiles}");
    machine.0.must(
        "test -s /usr/share/egressd/prometheus/alerts.yml
         test -s /usr/share/egressd/grafana/overview.json
         test -s /usr/share/doc/egressd/VERDICTS.md
         test -s /usr/share/bash-completion/completions/egressd
         man -w egressd egressd.toml
         egressd config check",
    );
}
