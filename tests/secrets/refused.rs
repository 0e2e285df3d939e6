//! What is told of a configuration in which a secret stands in a wrong place, or in a wrong way.

use super::none_leaks;
use crate::support::ground::Ground;
use crate::support::program::run;

/// Configurations that are wrong, and hold a secret.
fn rows() -> Vec<String> {
    let target = "[[target]]\nname = \"a\"\nurl = \"https://h.example/\"\n";
    let route = "[[route]]\nname = \"a\"\nproxy = \"http://p.example:1\"\n";
    vec![
        format!("{target}key = \"planted-1\""),
        format!("{target}key = [\"planted-1\"]"),
        format!("{target}key = {{ env = \"planted-1\" }}"),
        format!("{target}key = {{ value = \"planted-1\" }}"),
        format!("{target}key = {{ credential = \"planted-1/2\" }}"),
        format!("{target}api_key = \"planted-1\""),
        format!("{target}request = {{ headers = \"authorization: planted-1\" }}"),
        format!("{target}request = {{ headers = {{ authorization = [\"planted-1\"] }} }}"),
        format!(
            "{target}request = {{ headers = {{ authorization = \"planted-1\\n\", \"a b\" = \"planted-2\" }} }}"
        ),
        format!("{target}request = {{ body = [\"planted-1\"] }}"),
        format!("{target}client_cert = {{ certificate = \"/x\", key = \"planted-1\" }}"),
        format!("{route}auth = \"svc:planted-1\""),
        format!(
            "{route}auth = {{ scheme = \"basic\", username = \"svc\", password = \"planted-1\" }}"
        ),
        format!(
            "{route}auth = {{ scheme = \"basic\", username = \"svc\", password = [\"planted-1\"] }}"
        ),
        format!(
            "{route}connect_headers = {{ Proxy-Authorization = \"planted-1\", X-Token = \"planted-1\\n\" }}"
        ),
        "[[route]]\nname = \"a\"\nproxy = \"http://u:planted-1@p.example:1\"".to_owned(),
        "[[route]]\nname = \"a\"\nproxy = \"http//u:planted-1@p.example:1\"".to_owned(),
        "[[route]]\nname = \"a\"\nproxy = \"http://u:planted-1@p.example:99999\"".to_owned(),
        "[[route]]\nname = \"a\"\nproxy = \"pac+https://u:planted-1@p.example/x\"".to_owned(),
        "[[route]]\nname = \"a\"\nproxy = [\"http://u:planted-1@p.example:1\"]".to_owned(),
        "[[target]]\nname = \"a\"\nurl = \"https://u:planted-1@h.example:99999/\"".to_owned(),
        "[[target]]\nname = \"a\"\nurl = [\"https://u:planted-1@h.example/\"]".to_owned(),
        "[[target]]\nname = \"a\"\nurl = \"ftp://h.example/?key=planted-1\"".to_owned(),
        "[[target]]\nname = \"https://u:planted-1@h.example/\"\nurl = \"https://h.example/\""
            .to_owned(),
        "[alertmanager]\nurls = [\"https://u:planted-1@am.example\", \"am//u:planted-2@x\"]"
            .to_owned(),
        "[alertmanager]\nurls = \"https://u:planted-1@am.example\"".to_owned(),
        "[control]\nurls = [\"https://u:planted-1@x.example\"]\nportal_url = \"u:planted-2@x\""
            .to_owned(),
        "[dns]\nservers = [\"https://u:planted-1@10.0.0.1/dns-query\", \"u:planted-2@x\"]"
            .to_owned(),
        "[server]\nlisten = \"u:planted-1@127.0.0.1:1\"".to_owned(),
        format!(
            "{target}request = {{ headers = {{ Authorization = \"Bearer planted-1\", Cookie = \"planted-1\" }} }}"
        ),
        "[[target]]\nname = \"a\"\nurl = \"https://h.example/?key=planted-1\"".to_owned(),
        format!("{target}key = planted-1"),
        format!("{target}key = \"planted-1"),
    ]
}

#[test]
fn a_bad_configuration_is_told_without_what_stands_in_a_wrong_place() {
    let ground = Ground::new();
    for row in rows() {
        let file = ground.folder.write("egressd.toml", &format!("{row}\n")).display().to_string();
        for arguments in [
            &["config", "check", &file][..],
            &["check", "--config", &file],
            &["run", "--config", &file],
        ] {
            let finished = run(arguments);
            assert!([78, 3].contains(&finished.code), "{arguments:?} {row}: {finished:?}");
            none_leaks(&row, &format!("{}{}", finished.stdout, finished.stderr));
        }
    }
}
