//! A document that sends the reader to a file that is not there has gone stale.

use crate::repository::File;

/// Every link of a document to a missing file or folder of the repository, one sentence each.
/// Links to other places are not followed: no check needs a network.
pub(super) fn violations(files: &[File]) -> Vec<String> {
    let is_there = |path: &str| {
        let inside = |file: &File| file.path.strip_prefix(path).is_some_and(is_rest_of_path);
        path.is_empty() || files.iter().any(inside)
    };
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is("md")) {
        for (index, line) in file.text.lines().enumerate() {
            for target in targets(line) {
                if !resolve(&file.path, target).is_some_and(|path| is_there(&path)) {
                    let (path, line) = (&file.path, index + 1);
                    found.push(format!(
                        "{path}:{line}: links to {target}, which is not there"
                    ));
                }
            }
        }
    }
    found
}

fn is_rest_of_path(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

/// The targets of `[text](target)` in a line that name a file of the repository, without their
/// `#section`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains(':'))
}

/// The path from the root that `target` means in the document at `path`; `None` when it leaves
/// the repository.
fn resolve(path: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::rules::tests::file;

    #[test]
    fn links_that_lead_somewhere_are_taken() {
        let text = "[a](a.md) and [b](../README.md#part), [c](decisions), [d](./decisions/b.md)\n\
                    [e](https://example.test/x.md) [f](#here) [g](mailto:a@example.test) [h](..)";
        let files = [
            file("README.md", ""),
            file("docs/a.md", text),
            file("docs/decisions/b.md", "[a](../a.md)"),
        ];
        assert_eq!(violations(&files), [""; 0]);
    }

    #[test]
    fn links_to_nothing_are_refused_with_their_place() {
        let text = "\n[a](b.md) [b](doc) [c](../../x)\n";
        let found = violations(&[file("docs/a.md", text)]);
        let expected = ["b.md", "doc", "../../x"]
            .map(|target| format!("docs/a.md:2: links to {target}, which is not there"));
        assert_eq!(found, expected);
    }
}
