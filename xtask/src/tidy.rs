//! The tidy report: what has grown beyond the sizes that `CONTRIBUTING.md` aims at.

use crate::repository::File;
use crate::source::Source;

/// Files aim to stay below this; longer ones are named in the report.
const FILE_LINES_AIM: usize = 400;
/// A longer file fails the check.
const FILE_LINES_MAX: usize = 800;
/// Wider lines are counted for each file. The formatter breaks code; this finds comments and texts.
const LINE_CHARACTERS_AIM: usize = 100;
/// Longer functions are named in the report: each wants a reason.
const FUNCTION_LINES_AIM: usize = 70;

/// What the report says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Worth a look; fails nothing.
    pub(crate) remarks: Vec<String>,
    /// Too long to stay.
    pub(crate) violations: Vec<String>,
}

/// Measures every Rust file and function.
pub(crate) fn report(files: &[File]) -> Report {
    let mut report = Report::default();
    for file in files.iter().filter(|file| file.is("rs")) {
        let lines = file.text.lines().count();
        let remark = format!("{}: {lines} lines", file.path);
        if lines > FILE_LINES_MAX {
            report
                .violations
                .push(format!("{remark}, more than {FILE_LINES_MAX}: split it"));
        } else if lines > FILE_LINES_AIM {
            report.remarks.push(remark);
        }
        let is_wide = |line: &&str| line.chars().count() > LINE_CHARACTERS_AIM;
        match file.text.lines().filter(is_wide).count() {
            0 => {}
            wide => report.remarks.push(format!(
                "{}: {wide} wider than {LINE_CHARACTERS_AIM} characters",
                file.path
            )),
        }
        for function in Source::scan(&file.text).functions() {
            if function.lines > FUNCTION_LINES_AIM {
                report.remarks.push(format!(
                    "{}:{}: function `{}` has {} lines",
                    file.path, function.line, function.name, function.lines
                ));
            }
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::{Report, report};
    use crate::repository::File;

    fn report_of(path: &str, text: String) -> Report {
        report(&[File {
            path: path.to_owned(),
            text,
        }])
    }

    #[test]
    fn files_are_remarked_then_refused_as_they_grow() {
        let lines = |count| "//\n".repeat(count);
        assert_eq!(report_of("a.rs", lines(400)), Report::default());
        assert_eq!(report_of("a.rs", lines(401)).remarks, ["a.rs: 401 lines"]);
        assert!(report_of("a.rs", lines(800)).violations.is_empty());
        let refused = report_of("a.rs", lines(801)).violations;
        assert_eq!(refused, ["a.rs: 801 lines, more than 800: split it"]);
        assert_eq!(report_of("a.json", lines(2_000)), Report::default());
    }

    #[test]
    fn wide_lines_are_counted_in_characters() {
        let text = format!("// {}\n// {}\n", "é".repeat(97), "e".repeat(98));
        let remarks = report_of("a.rs", text).remarks;
        assert_eq!(remarks, ["a.rs: 1 wider than 100 characters"]);
    }

    #[test]
    fn long_functions_are_remarked() {
        let text = |inner: usize| format!("\nfn long() {{\n{}}}\n", "    a();\n".repeat(inner));
        assert_eq!(report_of("a.rs", text(68)), Report::default());
        let remarks = report_of("a.rs", text(69)).remarks;
        assert_eq!(remarks, ["a.rs:2: function `long` has 71 lines"]);
    }
}
