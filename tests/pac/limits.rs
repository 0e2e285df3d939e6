//! What a script may cost, what becomes of a child that went too far, and what the child can reach.

use std::fs;
use std::time::{Duration, Instant};

use egressd::probe::pac::{Failure, ScriptFault};

use super::{Ground, body};
use crate::support::not_run;
use crate::support::program::run;

/// The state of a child of this process, `Z` for a zombie; none if it is gone.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = stat.rsplit_once(") ")?.1.split_whitespace();
    let state = words.next()?.chars().next();
    (words.next() == Some(&std::process::id().to_string())).then_some(state)?
}

fn proc(pid: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap()
}

/// Descriptors beyond the three that this process hands on to every program.
fn inherited() -> Vec<String> {
    let files = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let hands_on = |name: &String| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{name}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & 0o2_000_000 == 0)
    };
    let names = files.map(|file| file.file_name().into_string().unwrap()).filter(hands_on);
    names.filter(|name| name.parse::<u32>().unwrap() > 2).collect()
}

/// The numbers of a line of `/proc/PID/status`.
fn status(pid: u32, key: &str) -> Vec<u64> {
    let status = proc(pid, "status");
    let line = status.lines().find(|line| line.starts_with(&format!("{key}:"))).unwrap();
    line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn a_script_without_an_end_is_ended() {
    let ground = Ground::new();
    let rows = [
        body("for (;;) {}"),
        // It cannot catch its end.
        body("for (;;) { try { for (;;) {} } catch (e) {} }"),
        body("return { toString() { for (;;) {} } } + ''"),
        body("throw { toString() { for (;;) {} } }"),
        body("throw Object.defineProperty(new Error(), 'message', { get() { for (;;) {} } })"),
        body("return /^(a+)+$/.test('a'.repeat(40) + 'b') + ''"),
        body("return shExpMatch('a'.repeat(100) + 'b', '(*a*a*a*a*a*a*a*a*a)') + ''"),
        // Sorting calls nothing of the script, and is not interrupted.
        body("var a = []; for (;;) { a.length = 1e5; a.fill(1).reverse().sort() }"),
        "for (;;) {}".to_owned(),
    ];
    for script in rows {
        let begun = Instant::now();
        assert_eq!(ground.fault(&script), ScriptFault::TooLong, "{script}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{script}");
        assert_eq!(ground.engine.child_id(), None, "it is replaced");
    }
    ground.works();
}

#[test]
fn a_script_without_measure_is_ended() {
    let ground = Ground::new();
    let rows = [
        body("var a = []; for (;;) a.push('x'.repeat(100000) + a.length)"),
        body("var a = 'x'; for (;;) a += a"),
        body("return new Array(1e9).fill('x').join()"),
        body("new ArrayBuffer(1e9)"),
        "var a = []; for (;;) a.push(new Uint8Array(1e6))".to_owned(),
    ];
    for script in rows {
        let fault = ground.fault(&script);
        // A string has a limit of its own, by which it may end before the memory does.
        let by_length = matches!(&fault, ScriptFault::Threw { detail, .. } if detail.contains("long") || detail.contains("length"));
        let by_time = fault == ScriptFault::TooLong;
        assert!(fault == ScriptFault::TooMuchMemory || by_length || by_time, "{fault:?}\n{script}");
        ground.works();
    }
}

#[test]
fn memory_is_bounded_even_where_the_script_goes_on() {
    let ground = Ground::new();
    let script = body(
        "var a = []; try { for (;;) a.push(new Uint8Array(1e5).fill(1)) } catch (e) {} return 'PROXY a:' + a.length",
    );
    let decision = ground.decide(&script).unwrap();
    let count: u64 = decision.text.rsplit(':').next().unwrap().parse().unwrap();
    assert!((100..=340).contains(&count), "{count} times 100 kB");
    let peak = status(ground.engine.child_id().unwrap(), "VmHWM")[0];
    assert!(peak < 96 * 1024, "{peak} kB");
    ground.works();
}

#[test]
fn recursion_has_a_floor() {
    let ground = Ground::new();
    let fault =
        ground.fault("function f() { return f() + 1 }\nfunction FindProxyForURL() { return f() }");
    let detail = match &fault {
        ScriptFault::Threw { detail, .. } => detail,
        other => panic!("{other:?}"),
    };
    assert!(detail.contains("stack"), "{detail}");
    let rows = [
        body("return JSON.stringify(JSON.parse('['.repeat(100000) + ']'.repeat(100000)))"),
        body("return /(((((((((a*)*)*)*)*)*)*)*)*)b/.test('a'.repeat(10000)) + ''"),
        body("return new RegExp('('.repeat(50000) + ')'.repeat(50000)).test('') + ''"),
        body("return eval('['.repeat(100000))"),
        // Nor can it sleep.
        body("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)"),
        "[".repeat(200_000),
    ];
    for script in rows {
        let outcome = ground.decide(&script);
        assert!(matches!(outcome, Err(Failure::Script(_))), "{outcome:?}");
        ground.works();
    }
}

#[test]
fn eight_names_are_looked_up_and_no_ninth() {
    let ground = Ground::new();
    let names = |count: u32| {
        body(&format!(
            "for (var i = 0; i < {count}; i++) dnsResolve('n' + i + '.example');\nreturn ''"
        ))
    };
    assert_eq!(ground.decide(&names(8)).unwrap().lookups.len(), 8);
    assert_eq!(ground.fault(&names(9)), ScriptFault::TooManyLookups);
    let caught = body(
        "for (var i = 0; i < 99; i++) { try { isResolvableEx('m' + i) } catch (e) {} } return 'DIRECT'",
    );
    assert_eq!(ground.fault(&caught), ScriptFault::TooManyLookups);
    assert_eq!(ground.asked.borrow().len(), 24);
    // Each decision has its own.
    ground.works();
    assert_eq!(ground.decide(&names(8)).unwrap().lookups.len(), 8);
}

#[test]
fn an_evil_script_finds_nothing_to_hold_on_to() {
    let ground = Ground::new();
    let rows = [
        // All that it can name beside the language are the helper functions.
        (
            "return ['require', 'process', 'std', 'os', 'fetch', 'XMLHttpRequest', 'load', 'print',
             'setTimeout', 'importScripts', 'Deno', 'lookUp', 'mine'].filter(n => n in globalThis).join()",
            "",
        ),
        // An answer that is too long comes as far as shows it.
        ("return String('x'.repeat(1e6).length)", "1000000"),
        // What it breaks is its own.
        ("Array.prototype.find = function () { return 'broken' }; return 'x'", "x"),
        ("Object.prototype.then = 1; String.prototype.split = null; return 'x'", "x"),
        ("globalThis.FindProxyForURL = null; return 'x'", "x"),
    ];
    for (text, expected) in rows {
        assert_eq!(ground.decide(&body(text)).unwrap().text, expected, "{text}");
    }
    let import = ground.decide(&body("import('file:///etc/passwd'); import('os'); return 'x'"));
    assert!(matches!(&import, Ok(decision) if decision.text == "x"), "{import:?}");
    let module = ground.fault("import * as os from 'os';\nfunction FindProxyForURL() {}");
    assert!(matches!(module, ScriptFault::Parse { line: 1, .. }), "{module:?}");
    let long = ground.decide(&body("return 'x'.repeat(1e6)")).unwrap();
    assert_eq!(long.text.len(), 4097);
    ground.works();
}

#[test]
fn a_child_that_was_killed_is_replaced() {
    let ground = Ground::new();
    ground.works();
    for _ in 0..5 {
        let pid = ground.engine.child_id().unwrap();
        let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(killed.unwrap().success());
        ground.works();
        assert_ne!(ground.engine.child_id(), Some(pid));
        assert_eq!(state(pid), None);
    }
}

#[test]
fn after_many_bombs_there_is_one_child_and_no_zombie() {
    let ground = Ground::new();
    let bomb = body("return new Array(1e9).fill('x').join()");
    // A child is spoken to over two pipes; sockets are those of other tests, which run beside this one.
    let descriptors = || {
        let all = fs::read_dir("/proc/self/fd").unwrap();
        let ends = all.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        ends.filter(|end| end.to_string_lossy().starts_with("pipe:")).count()
    };
    let before = descriptors();
    let mut children = Vec::new();
    for _ in 0..200 {
        ground.works();
        children.push(ground.engine.child_id().unwrap());
        assert!(ground.decide(&bomb).is_err());
        assert_eq!(ground.engine.child_id(), None);
    }
    ground.works();
    let last = ground.engine.child_id().unwrap();
    let left = children.iter().filter(|pid| **pid != last && state(**pid).is_some()).count();
    assert_eq!(left, 0, "children that were replaced and are still there");
    assert!(state(last).is_some_and(|state| state != 'Z'));
    // A leak would be of two each time.
    let after = descriptors();
    assert!(after < before + 200, "{before} pipes, then {after}");
    let Ground { runtime, engine, .. } = ground;
    drop(engine);
    let begun = Instant::now();
    // The runtime collects what was dropped while it runs.
    while state(last).is_some() {
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
        assert!(begun.elapsed() < Duration::from_secs(20), "it is still there");
    }
}

#[test]
fn the_child_has_nothing_and_can_get_nothing() {
    let ground = Ground::new();
    ground.works();
    let pid = ground.engine.child_id().unwrap();
    let limits = proc(pid, "limits");
    let limit = |name: &str| -> Vec<String> {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect()
    };
    // No number is left for a file or a socket, and root itself may not raise it without privileges.
    assert_eq!(limit("Max open files"), ["0", "0"]);
    assert_eq!(limit("Max processes"), ["0", "0"]);
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    assert_eq!(limit("Max file size"), ["0", "0"]);
    assert_eq!(limit("Max address space"), ["268435456"; 2]);
    assert_eq!(status(pid, "NoNewPrivs"), [1]);
    assert_eq!(status(pid, "Threads"), [1]);
    assert!(status(pid, "VmHWM")[0] < 64 * 1024);
    // In a user namespace there may be no other user to become.
    let users = proc(std::process::id(), "uid_map");
    if status(std::process::id(), "Uid")[0] == 0 && users.trim().ends_with("4294967295") {
        assert_eq!(status(pid, "Uid"), [65534; 4]);
        assert_eq!(status(pid, "Gid"), [65534; 4]);
        assert_eq!(status(pid, "Groups"), [0; 0]);
    }
    let Ok(environment) = fs::read_to_string(format!("/proc/{pid}/environ")) else {
        return not_run("only root looks into the environment of a process that cannot be dumped");
    };
    assert_eq!(environment, "");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    // What the tests were started with open stays open in every program that they start.
    let inherited = inherited();
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut files: Vec<String> = files
        .map(|file| file.file_name().into_string().unwrap())
        .filter(|file| !inherited.contains(file))
        .collect();
    files.sort();
    assert_eq!(files, ["0", "1", "2"]);
}

#[test]
fn the_child_is_not_in_the_help() {
    let help = run(&["--help"]);
    assert!(
        help.stdout.contains("check") && !help.stdout.contains("pac-engine"),
        "{}",
        help.stdout
    );
    // Without a parent it ends.
    let alone = run(&["pac-engine"]);
    assert_eq!((alone.code, alone.stdout.as_str(), alone.stderr.as_str()), (0, "", ""));
}
