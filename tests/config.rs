//! Configurations: every mistake with its exact text, the shipped file equal to no file at all, and
//! every option in it shown and checked.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use egressd::config::{self, Config, Problem};
use egressd::plan::{AdHoc, Given, Plan, ProxyVariables, Spoken, Way, ad_hoc, build};

use crate::support::pki::Authority;
use crate::support::program::{Finished, Folder, egressd, run};

/// A plan from text, with nothing from this machine.
pub(crate) fn plan(text: &str, given: &Given) -> Result<Plan, Vec<Problem>> {
    let (config, mut problems) = config::parse(text);
    let (plan, more) = build(&config, given);
    problems.extend(more);
    problems.retain(|problem| !problem.warning);
    if problems.is_empty() { Ok(plan.expect("no problem, a plan")) } else { Err(problems) }
}

pub(crate) fn nothing_given() -> Given {
    Given {
        variables: std::collections::BTreeMap::new(),
        proxies: ProxyVariables::default(),
        files: std::collections::BTreeMap::new(),
        lists: Vec::new(),
        system_roots: Ok(Vec::new()),
    }
}

fn bad_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/config/bad")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

/// A daemon that waits for a pipe checks nothing.
#[test]
fn what_is_named_is_a_regular_file_or_is_refused() {
    let folder = Folder::new();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let check = |file: &Path| {
        let mut command = Command::new("timeout");
        command.args(["20", env!("CARGO_BIN_EXE_egressd"), "config", "check"]).arg(file);
        Finished::of(command.env_clear().stdin(Stdio::null()).output().unwrap())
    };
    let target = "[[target]]\nname = \"a\"\nprovider = \"anthropic\"\n";
    let at = pipe.display();
    let texts = [
        format!("[trust]\nca_files = [\"{at}\"]\n{target}"),
        format!("[server]\nweb_config_file = \"{at}\"\n{target}"),
        format!("[server]\nblackbox_modules = \"{at}\"\n{target}"),
        format!("{target}trust = {{ ca_file = \"{at}\" }}\n"),
        format!("[[target_list]]\nfiles = [\"{at}\"]\n"),
    ];
    let refuses = |file: &Path, what: &str| {
        let finished = check(file);
        let said = finished.stderr.contains("it is no regular file of at most ");
        assert!(finished.code == 78 && said, "{what}: {finished:?}");
    };
    refuses(&pipe, "the configuration itself");
    for text in texts {
        refuses(&folder.write("egressd.toml", &text), &text);
    }
}

#[test]
fn every_mistake_is_told_with_its_place_and_a_way_out() {
    let mut wrong = Vec::new();
    for path in bad_files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let output = egressd()
            .args(["config", "check", &name])
            .current_dir("tests/config/bad")
            .output()
            .unwrap();
        let finished = Finished::of(output);
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if finished.stderr != expected || finished.code != 78 || !finished.stdout.is_empty() {
            wrong.push(format!("{name} (exit {}):\n{}", finished.code, finished.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(bad_files().len() >= 15);
}

#[test]
fn a_bad_file_does_not_run_and_check_says_unknown() {
    let file = "tests/config/bad/unknown-key.toml";
    assert_eq!(run(&["run", "--config", file]).code, 78);
    let checked = run(&["check", "--config", file]);
    assert_eq!(checked.code, 3);
    assert!(checked.stderr.contains("did you mean"), "{}", checked.stderr);
    assert_eq!(run(&["config", "check", "/nonexistent.toml"]).code, 78);
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let file = folder.write("open.toml", config::EMBEDDED);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let finished = run(&["config", "check", file.to_str().unwrap()]);
    assert_eq!(finished.code, 78);
    assert!(finished.stderr.contains("others may write this file"), "{}", finished.stderr);
    // They would put another one in its place; not where each may replace only their own.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let modules = folder.write("modules.yml", "modules: {}");
    let link = folder.path().join("link");
    fs::create_dir(&link).unwrap();
    std::os::unix::fs::symlink(&file, link.join("linked.toml")).unwrap();
    let elsewhere = Folder::new();
    let text = format!("[server]\nblackbox_modules = {modules:?}\n{TARGET}");
    let named = elsewhere.write("egressd.toml", &text);
    for (mode, sound) in [(0o777, false), (0o1777, true), (0o755, true)] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        for file in [&file, &link.join("linked.toml"), &named] {
            let finished = run(&["config", "check", file.to_str().unwrap()]);
            let told = finished.stderr.contains("others may write this folder; chmod o-w it");
            assert_eq!((finished.code == 0, told), (sound, !sound), "{}", finished.stderr);
        }
    }
}

const TARGET: &str = "[[target]]\nname = \"api\"\nprovider = \"anthropic\"\n";

#[test]
fn the_shipped_file_is_what_runs_without_one() {
    let with = run(&["config", "check", "--plan", "config/egressd.toml"]);
    let without = run(&["config", "check", "--plan"]);
    assert_eq!((with.code, without.code), (0, 0), "{}{}", with.stderr, without.stderr);
    assert!(with.stdout.contains("api.anthropic.com"));
    if !Path::new("/etc/egressd/egressd.toml").exists() {
        assert_eq!(with.stdout, without.stdout);
    }
}

#[test]
fn every_live_option_stands_at_its_default() {
    let (shipped, problems) = config::parse(&fs::read_to_string("config/egressd.toml").unwrap());
    assert_eq!(problems, []);
    let bare = Config {
        route: Vec::new(),
        target: Vec::new(),
        control: Config::default().control,
        ..shipped.clone()
    };
    assert_eq!(bare, Config::default());
    assert_eq!(shipped.control.interval, Config::default().control.interval);
}

/// The tables of a configuration, as they are opened in a file.
const TABLES: &[&str] = &[
    "",
    "[server]",
    "[probe]",
    "[probe.budget]",
    "[experiments]",
    "[trust]",
    "[dns]",
    "[control]",
    "[[route]]",
    "[[route]]\n[route.auth]",
    "[state]",
    "[log]",
    "[metrics]",
    "[[target]]",
    "[[target_list]]",
];

#[test]
fn every_table_refuses_an_unknown_key_and_every_known_one_is_shown() {
    let shipped = fs::read_to_string("config/egressd.toml").unwrap();
    let mut shown = BTreeSet::new();
    for line in shipped.lines() {
        let line = line.trim_start_matches(['#', ' ']);
        if let Some((key, _)) = line.split_once(" = ") {
            shown.insert(key.to_owned());
        }
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_start_matches('[').split(']').next().unwrap_or_default();
            shown.extend(table.split('.').map(str::to_owned));
        }
    }
    for table in TABLES {
        let (_, problems) = config::parse(&format!("{table}\nqqqqqqqqqqqqqqqqqqqqqqqq = 1\n"));
        assert_eq!(problems.len(), 1, "{table}: {problems:?}");
        let known = problems[0].help.strip_prefix("known here: ").expect("the known keys");
        // `url` of [control] is the short form of `urls`, said in the comment of the table.
        for key in known.split(", ").filter(|key| !(*table == "[control]" && *key == "url")) {
            assert!(shown.contains(key), "{table} {key} is not in config/egressd.toml");
        }
    }
}

#[test]
fn every_commented_situation_is_sound() {
    let shipped = fs::read_to_string("config/egressd.toml").unwrap();
    let live: String = shipped.split("# situation:").next().unwrap().to_owned();
    let mut count = 0;
    for situation in shipped.split("# situation:").skip(1) {
        let (title, block) = situation.split_once('\n').unwrap();
        let block: Vec<&str> = block
            .lines()
            .take_while(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches("# ").trim_start_matches('#'))
            .collect();
        let text = format!("{live}\n{}\n", block.join("\n"));
        if let Err(problems) = plan(&text, &nothing_given()) {
            panic!("situation{title}: {problems:?}");
        }
        count += 1;
    }
    assert!(count >= 4, "only {count} situations");
    // The commented lines above the tables: `site`, twice.
    let site = "site = \"tokyo-2\"\n";
    assert!(shipped.contains(&format!("# {site}")));
    let sited = plan(&format!("{site}{live}"), &nothing_given()).expect("sound");
    assert_eq!(sited.site.as_deref(), Some("tokyo-2"));
}

#[test]
fn a_string_may_come_from_the_environment() {
    let mut given = nothing_given();
    let text = format!("site = {{ env = \"SITE\" }}\n{}", config::EMBEDDED);
    let problems = plan(&text, &given).expect_err("SITE is not set");
    assert!(problems[0].what.contains("no variable SITE"), "{problems:?}");
    given.variables.insert("SITE".into(), "osaka".into());
    assert_eq!(plan(&text, &given).expect("sound").site.as_deref(), Some("osaka"));
}

fn routes(variables: &[(&str, &str)]) -> Vec<String> {
    let mut given = nothing_given();
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    given.proxies = ProxyVariables::new(variables.iter().map(own));
    let plan = plan(config::EMBEDDED, &given).expect("sound");
    plan.targets[0]
        .routes
        .iter()
        .map(|used| format!("{} {}", used.route.name, used.expect.label()))
        .collect()
}

#[test]
fn the_environments_proxy_becomes_a_route_unless_the_target_is_exempt() {
    assert_eq!(routes(&[]), ["direct open"]);
    let named = ("https_proxy", "http://proxy.corp.example:3128");
    assert_eq!(routes(&[named]), ["direct either", "environment open"]);
    assert_eq!(routes(&[named, ("no_proxy", ".anthropic.com")]), ["direct open"]);
    assert_eq!(
        routes(&[named, ("no_proxy", ".example.org")]),
        ["direct either", "environment open"]
    );
}

#[test]
fn an_exemption_is_told_by_the_plan_and_counts_for_a_url_too() {
    let mut given = nothing_given();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    given.proxies = ProxyVariables::new([
        pair("https_proxy", "socks5h://svc:hunter2@proxy.corp.example"),
        pair("no_proxy", "api.anthropic.com, 10.0.0.0/8"),
    ]);
    let plan = plan(config::EMBEDDED, &given).expect("sound");
    let told = plan.to_string();
    assert!(told.contains("not via environment: no_proxy takes it around the proxy"), "{told}");
    assert!(told.contains("SOCKS5 through proxy.corp.example:1080"), "{told}");
    assert!(told.contains("login by basic: svc") && !told.contains("hunter2"), "{told}");
    assert!(!format!("{plan:?}").contains("hunter2"));
    let ways = |url| {
        let plan = ad_hoc(&plan, AdHoc { url, ..AdHoc::default() }).expect("a URL");
        let routes = plan.targets[0].routes.iter();
        routes.map(|used| used.route.name.clone()).collect::<Vec<String>>()
    };
    assert_eq!(ways("https://10.1.2.3/"), ["direct"]);
    assert_eq!(ways("https://www.example.com/"), ["direct", "environment"]);
}

/// What is wrong with a route through this proxy of the environment.
fn beside_the_environments(proxy: &str, beside: &str) -> Vec<String> {
    let mut given = nothing_given();
    given.proxies = ProxyVariables::new([("https_proxy".to_owned(), proxy.to_owned())]);
    let pem = Authority::new("Corp").pem().into_bytes();
    given.files.insert("ca.pem".into(), Ok(pem));
    let text = format!(
        "{}[[route]]\nname = \"given\"\nproxy = \"environment\"\n{beside}\n",
        config::EMBEDDED
    );
    match plan(&text, &given) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.what).collect(),
    }
}

#[test]
fn what_stands_beside_the_environments_proxy_is_checked_as_beside_any_other() {
    let (http, tls, socks) = ("http://p:3128", "https://p:3129", "socks5h://p");
    let files = "ca_files = [\"ca.pem\"]";
    let headers = "connect_headers = { X-Team = \"ml\" }";
    let ntlm = "auth = { scheme = \"ntlm\", username = \"svc\", password = { file = \"/etc/p\" } }";
    let hosts = "`auth_hosts` and `insecure_pac` are for a PAC file";
    for (proxy, beside, expected) in [
        (http, "auth_hosts = [\"p\"]", hosts),
        (http, "insecure_pac = true", hosts),
        (http, files, "a proxy that is spoken to by http shows no certificate"),
        (socks, headers, "SOCKS has no headers"),
        (socks, ntlm, "SOCKS knows no ntlm"),
    ] {
        assert_eq!(beside_the_environments(proxy, beside), [expected], "{proxy} {beside}");
    }
    for (proxy, beside) in [(tls, files), (http, headers), (http, ntlm)] {
        assert_eq!(beside_the_environments(proxy, beside), [""; 0], "{proxy} {beside}");
    }
}

#[test]
fn a_pac_route_keeps_login_and_headers_for_the_listed_proxies() {
    let text = format!(
        "{}[[route]]\nname = \"auto\"\nproxy = \"pac+https://corp.example/proxy.pac?token=hunter2\"\n\
         auth_hosts = [\"Proxy.corp.example\", \"other.corp.example:3128\"]\n\
         connect_headers = {{ X-Token = \"hunter3\" }}\n\
         auth = {{ scheme = \"basic\", username = \"svc\", password = {{ file = \"/etc/p\" }} }}\n",
        config::EMBEDDED
    );
    let plan = plan(&text, &nothing_given()).expect("sound");
    let told = plan.to_string();
    assert!(told.contains("PAC file https://corp.example/proxy.pac says"), "{told}");
    let only = "by basic: svc, with X-Token in a CONNECT (at Proxy.corp.example, other";
    assert!(told.contains(only) && !told.contains("hunter"), "{told}");
    let route = plan.routes.iter().find(|route| route.name == "auto").expect("the route");
    let Way::Pac(pac) = &route.way else { panic!("{route:?}") };
    for (host, port, listed) in [
        ("proxy.corp.example", 8080, true),
        ("other.corp.example", 3128, true),
        ("other.corp.example", 3129, false),
        ("proxy.evil.example", 8080, false),
    ] {
        let proxy = pac.names(Spoken::Http, url::Host::Domain(host.to_owned()), port);
        let given = (proxy.account.is_some(), !proxy.headers.is_empty());
        assert_eq!(given, (listed, listed), "{host}:{port}");
    }
}
