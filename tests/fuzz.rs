//! The corpora of the fuzz targets, each file through its property. What fuzzing finds becomes a file there.

#[expect(unreachable_pub, reason = "the fuzz targets' package has the same file as its library")]
mod properties;

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use properties::ALL;

/// A corpus is small enough to be run by every test: files, and bytes of all of them.
const FILES: usize = 100;
const BYTES: usize = 200 * 1024;

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap().path())).collect();
    names.sort();
    names
}

#[test]
fn every_corpus_holds() {
    let mut wrong = Vec::new();
    for (parser, property) in ALL {
        let folder = format!("tests/fuzz/corpus/{parser}");
        let (files, mut bytes) = (names(&folder), 0);
        for file in &files {
            let input = fs::read(format!("{folder}/{file}")).unwrap();
            bytes += input.len();
            if catch_unwind(|| property(&input)).is_err() {
                wrong.push(format!("{parser}: {file}"));
            }
        }
        assert!(!files.is_empty(), "{folder} is empty");
        let fits = files.len() <= FILES && bytes <= BYTES;
        assert!(fits, "{folder} has {} files, {bytes} bytes", files.len());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_parser_has_a_target_and_a_corpus() {
    let parsers: Vec<&str> = ALL.iter().map(|(parser, _)| *parser).collect();
    assert_eq!(names("tests/fuzz/corpus"), parsers);
    let files: Vec<String> = parsers.iter().map(|parser| format!("{parser}.rs")).collect();
    assert_eq!(names("tests/fuzz/targets"), files);
    for parser in &parsers {
        let target = fs::read_to_string(format!("tests/fuzz/targets/{parser}.rs")).unwrap();
        assert!(target.contains(&format!("properties::{parser}(")), "{parser} runs another");
    }
    let package = fs::read_to_string("tests/fuzz/Cargo.toml").unwrap();
    let package: toml::Table = package.parse().unwrap();
    let mut targets: Vec<String> = package["bin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| target["name"].as_str().unwrap().to_owned())
        .collect();
    targets.sort();
    assert_eq!(targets, parsers);
}
