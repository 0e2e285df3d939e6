//! The shipped unit under a real systemd, in a machine that is booted for it.

use std::net::TcpListener;

use crate::support::booted::Bed;

#[test]
fn what_boots_is_closed_and_ends_with_its_guard() {
    let Some(bed) = Bed::boot_without() else { return };
    assert_eq!(bed.must("systemctl is-system-running").trim(), "running");
    let running =
        bed.must("systemctl list-units --type=service --state=running --plain --no-legend");
    let running: Vec<&str> = running.lines().filter_map(|line| line.split('.').next()).collect();
    assert_eq!(running, ["dbus", "systemd-journald"], "none of the host's");
    assert_eq!(bed.must("ls /tmp; ls /var/log/journal /sys/class/net/ | grep -v :").trim(), "lo");
    let identity = std::fs::read("/etc/machine-id").unwrap_or_default();
    assert_ne!(std::fs::read(bed.seen("/etc/machine-id")).expect("it has one"), identity);
    assert_ne!(bed.sh("test -e /usr/bin/egressd").code, 0);

    bed.put("/etc/systemd/system/x.service", "0644", "[Service]\nExecStart=/bin/echo here I am\n");
    bed.must("systemctl daemon-reload; systemctl start x; ip netns add inner");
    assert_eq!(bed.wait_for(&["-t", "echo"], "here I"), "here I am");
    assert_eq!(bed.journal(&["-t", "echo"])[0]["_UID"], "0");
    assert!(!std::path::Path::new("/run/netns/inner").exists());
    let address =
        bed.there(None, || TcpListener::bind("127.0.0.1:1").expect("a port").local_addr());
    assert_eq!(address.expect("an address").port(), 1, "a network of its own");

    let other = Bed::boot_without().expect("a second one beside it");
    assert_eq!(other.run(&["test", "-e", "/etc/systemd/system/x.service"]).code, 1);
    let leader = bed.seen("");
    drop(bed);
    assert!(!leader.exists(), "its process 1 is gone");
    assert_eq!(other.must("systemctl is-system-running").trim(), "running");
}

#[test]
fn it_starts_and_stops() {
    let Some(bed) = Bed::boot() else { return };
    bed.put(
        "/etc/systemd/system/egressd.service",
        "0644",
        include_str!("../deploy/systemd/egressd.service"),
    );
    bed.must("systemctl daemon-reload; systemctl start egressd");
    assert_eq!(bed.must("systemctl is-active egressd").trim(), "active");
    bed.must("systemctl stop egressd");
}
