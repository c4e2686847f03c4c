//! Pages of this checkout -> a site. What `docs/SUMMARY.md` names and what these pages link to keep their places, so that
//! one link serves a code forge and the site. mdBook renders the pages, and hyperlink follows every link. Writes no page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::process::tethered;
use crate::progress::say;
use crate::tools::{HYPERLINK, MDBOOK, provide};
use crate::{Error, cargo, environment};

const SUMMARY: &str = "docs/SUMMARY.md";
/// What mdBook wants beside the pages.
const CONFIGURATION: [&str; 2] = ["book.toml", "site.css"];

/// Builds the site into `target/site`, and follows its links.
pub fn run(open: bool) -> Result<(), Error> {
    let checkout = environment::checkout();
    let book = tempfile::tempdir().map_err(Error::io("make a folder for the pages"))?;
    lay_out(&checkout, book.path())?;
    let site = checkout.join("target/site");
    let mut command = tethered(provide(&MDBOOK)?);
    command.arg("build").arg(book.path());
    command.arg("--dest-dir").arg(&site);
    if open {
        command.arg("--open");
    }
    cargo::stream(command)?;
    let mut command = tethered(provide(&HYPERLINK)?);
    command.arg(&site).arg("--check-anchors");
    command.arg("--sources").arg(book.path());
    cargo::stream(command)?;
    say("the site: target/site/index.html");
    Ok(())
}

/// Makes a book of the checkout.
fn lay_out(checkout: &Path, book: &Path) -> Result<(), Error> {
    let summary = read(checkout, Path::new(SUMMARY))?;
    let pages: Vec<PathBuf> = files_linked(&summary, Path::new(SUMMARY)).collect();
    let mut wanted: BTreeSet<PathBuf> = pages.iter().cloned().collect();
    for page in &pages {
        let text = read(checkout, page)?;
        let others = files_linked(&text, page).filter(|file| {
            // A page that the summary does not name would come without a place in it: its link is found broken.
            file.extension().is_none_or(|it| it != "md") && checkout.join(file).is_file()
        });
        wanted.extend(others);
    }
    let pages_folder = book.join("src");
    for file in wanted {
        copy(&checkout.join(&file), &pages_folder.join(&file))?;
    }
    write(&pages_folder.join("SUMMARY.md"), &from_the_top(&summary))?;
    for file in CONFIGURATION {
        copy(&checkout.join("docs").join(file), &book.join(file))?;
    }
    Ok(())
}

/// The targets of Markdown's links, with what follows each.
fn links(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("](").skip(1).filter_map(|it| it.split_once(')'))
}

/// What the links of a page name in the checkout, whether it is there or not.
fn files_linked<'a>(text: &'a str, page: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
    let files = links(text).map(|(target, _)| target.split('#').next().unwrap_or_default());
    files
        .filter(|file| !file.is_empty() && !file.contains("://"))
        .map(|file| resolved(page, file))
}

/// Where a link of a page leads, from the top of the checkout.
fn resolved(page: &Path, link: &str) -> PathBuf {
    let mut path = page.parent().map(Path::to_path_buf).unwrap_or_default();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path
}

/// The summary with links as from the top of the checkout, where mdBook looks for it.
fn from_the_top(summary: &str) -> String {
    let (before, _) = summary.split_once("](").unwrap_or((summary, ""));
    links(summary).fold(before.to_owned(), |text, (target, behind)| {
        let target = resolved(Path::new(SUMMARY), target);
        format!("{text}]({}){behind}", target.display())
    })
}

fn read(checkout: &Path, file: &Path) -> Result<String, Error> {
    fs::read_to_string(checkout.join(file))
        .map_err(Error::io(format!("read the page {}", file.display())))
}

fn make_folder_of(file: &Path) -> Result<(), Error> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).map_err(Error::io(format!("make {}", folder.display())))
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    make_folder_of(to)?;
    fs::copy(from, to)
        .map(|_| ())
        .map_err(Error::io(format!("copy {}", from.display())))
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    make_folder_of(file)?;
    fs::write(file, text).map_err(Error::io(format!("write {}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_has_the_pages_of_the_summary_and_the_files_that_they_link_to() {
        let checkout = tempfile::tempdir().expect("a folder");
        let at = |file: &str| checkout.path().join(file);
        for (file, text) in [
            (SUMMARY, "[Top](../README.md)\n\n- [A](a.md)\n"),
            ("docs/book.toml", "[book]\n"),
            ("docs/site.css", "body {}\n"),
            ("README.md", "See [a](docs/a.md#part) and [b](docs/b.md).\n"),
            (
                "docs/a.md",
                "![a](a/plot.svg) [x](https://example.com/x.json) [d](../deploy/d.yaml)\n",
            ),
            ("docs/b.md", "Not in the summary.\n"),
            ("docs/a/plot.svg", "<svg/>"),
            ("docs/a/unused.svg", "<svg/>"),
            ("deploy/d.yaml", "a: b\n"),
        ] {
            write(&at(file), text).expect("a file");
        }
        let book = tempfile::tempdir().expect("a folder");
        lay_out(checkout.path(), book.path()).expect("a book");
        let made = |file: &str| fs::read_to_string(book.path().join(file)).ok();
        assert_eq!(
            made("src/SUMMARY.md").as_deref(),
            Some("[Top](README.md)\n\n- [A](docs/a.md)\n")
        );
        for (file, is_made) in [
            ("book.toml", true),
            ("site.css", true),
            ("src/README.md", true),
            ("src/docs/a.md", true),
            ("src/docs/a/plot.svg", true),
            ("src/deploy/d.yaml", true),
            ("src/docs/b.md", false),
            ("src/docs/a/unused.svg", false),
        ] {
            assert_eq!(made(file).is_some(), is_made, "{file}");
        }
    }

    #[test]
    fn a_page_that_is_missing_is_named() {
        let checkout = tempfile::tempdir().expect("a folder");
        write(&checkout.path().join(SUMMARY), "- [A](a.md)\n").expect("a file");
        let book = tempfile::tempdir().expect("a folder");
        let error = lay_out(checkout.path(), book.path()).expect_err("no page");
        assert!(error.to_string().contains("docs/a.md"), "{error}");
    }
}
