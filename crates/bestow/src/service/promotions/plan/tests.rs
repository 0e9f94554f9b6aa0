use super::*;

fn ours(code: &str, name: &str, status: &str, agreed: Option<&str>) -> Promotion {
    Promotion {
        code_fold: code.to_lowercase(),
        code: code.to_owned(),
        name: name.to_owned(),
        status: status.to_owned(),
        kind: "shared".to_owned(),
        reward: String::new(),
        limits: String::new(),
        metadata: String::new(),
        version: 1,
        created_at: 0,
        updated_at: 0,
        fallback_code: None,
        validity_days: None,
        resumes_as: None,
        stop_reason: None,
        synced_name: agreed.map(str::to_owned),
    }
}

fn folds(codes: &[&str]) -> HashSet<String> {
    codes.iter().map(|code| (*code).to_owned()).collect()
}

fn added(codes: &[&str]) -> Known {
    Known {
        added_there: folds(codes),
        ..Known::default()
    }
}

fn planned(ours: &[Promotion], there: &[(&str, &str)], known: &Known) -> Plan {
    let there: Vec<_> = there.iter().map(|(code, name)| entry(code, name)).collect();
    plan(ours, &there, known, &Deletions::Unused)
}

fn changes(plan: &Plan) -> Vec<(&str, &str, Option<&str>)> {
    let changes = plan.changed_there.iter();
    changes
        .map(|one| (&*one.code, &*one.change, one.theirs.as_deref()))
        .collect()
}

#[test]
fn what_is_missing_is_added_and_what_we_renamed_is_renamed_there() {
    let ours = [
        ours("CB10", "Cashback", "paused", Some("Cash")),
        ours("FS20", "20 spins", "active", None),
        ours("SAME", "Same", "active", Some("Same")),
    ];
    let plan = planned(
        &ours,
        &[("cb10", "Cash"), ("Same", " Same ")],
        &added(&["cb10"]),
    );
    assert_eq!(plan.add, [entry("FS20", "20 spins")]);
    let in_their_spelling = [entry("cb10", "Cashback")];
    assert_eq!(plan.rename, in_their_spelling);
    assert_eq!(
        (plan.delete, plan.changed_there, plan.agreed),
        (vec![], vec![], vec![])
    );
}

#[test]
fn a_change_by_hand_there_is_told_from_a_change_here() {
    let ours = [
        ours("BOTH", "Ours 2", "active", Some("Ours 1")),
        ours("GONE", "Gone", "active", Some("Gone")),
        ours("HERE", "Ours 2", "active", Some("Ours 1")),
        ours("THERE", "Ours 1", "active", Some("Ours 1")),
        ours("TWIN", "Ours", "active", None),
    ];
    let there = [
        ("BOTH", "Theirs"),
        ("HERE", "Ours 1"),
        ("THERE", "Theirs"),
        ("TWIN", "Theirs"),
    ];
    let plan = planned(&ours, &there, &added(&["both", "gone", "here", "there"]));
    let expected = [
        ("BOTH", "renamed", Some("Theirs")),
        ("GONE", "deleted", None),
        ("THERE", "renamed", Some("Theirs")),
        ("TWIN", "added", Some("Theirs")),
    ];
    assert_eq!(changes(&plan), expected);
    // Ours is written all the same.
    let renamed: Vec<_> = plan.rename.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(renamed, ["BOTH", "HERE", "THERE", "TWIN"]);
    assert_eq!(plan.add, [entry("GONE", "Gone")]);
}

#[test]
fn both_changed_to_the_same_name_is_no_conflict() {
    let plan = planned(
        &[ours("FS20", "New", "active", Some("Old"))],
        &[("FS20", "New")],
        &added(&["fs20"]),
    );
    assert!(plan.is_empty());
    assert_eq!(changes(&plan), []);
    assert_eq!(plan.agreed, [("fs20".to_owned(), "New".to_owned())]);
}

#[test]
fn an_add_whose_answer_was_lost_is_no_change_of_others() {
    // We set out to add it; whether it arrived was never learnt.
    let lost = ours("FS20", "New", "active", None);
    let known = added(&["fs20"]);
    let arrived = planned(std::slice::from_ref(&lost), &[("FS20", "New")], &known);
    assert_eq!((arrived.is_empty(), arrived.agreed.len()), (true, 1));
    let not_arrived = planned(std::slice::from_ref(&lost), &[], &known);
    assert_eq!((changes(&not_arrived), not_arrived.add.len()), (vec![], 1));
    let renamed_meanwhile = planned(&[lost], &[("FS20", "Old")], &known);
    assert_eq!(
        (changes(&renamed_meanwhile), renamed_meanwhile.rename.len()),
        (vec![], 1)
    );
}

#[test]
fn only_what_we_added_and_nobody_needs_is_deleted() {
    let ours = [
        ours("DRAFT", "x", "draft", Some("x")),
        ours("GONE", "x", "archived", Some("x")),
        ours("OURS", "x", "archived", Some("x")),
        ours("RENAMED", "x", "archived", Some("x")),
        ours("THEIRS", "x", "archived", Some("x")),
        ours("USED", "x", "archived", Some("x")),
    ];
    let there = [
        ("DRAFT", "x"),
        ("OURS", "x"),
        ("USED", "x"),
        ("RENAMED", "y"),
        ("THEIRS", "x"),
        ("FOREIGN", "y"),
    ];
    let known = Known {
        in_use: folds(&["used"]),
        ..added(&["draft", "gone", "ours", "renamed", "used"])
    };
    let found = planned(&ours, &there, &known);
    assert_eq!(found.delete, ["DRAFT", "OURS"]);
    let refused: Vec<_> = found
        .refused
        .iter()
        .map(|one| (&*one.code, &*one.reason))
        .collect();
    assert_eq!(refused, [("RENAMED", "changed_there"), ("USED", "in_use")]);
    assert_eq!(changes(&found), [("RENAMED", "renamed", Some("y"))]);
    assert_eq!(found.gone, ["gone"]);
    assert_eq!(found.foreign, ["FOREIGN", "THEIRS"]);

    let there: Vec<_> = there.iter().map(|(code, name)| entry(code, name)).collect();
    let forced = plan(&ours, &there, &known, &Deletions::Forced);
    assert_eq!(forced.delete, ["DRAFT", "OURS", "RENAMED", "USED"]);
    assert_eq!((forced.refused, forced.foreign.len()), (vec![], 2));
}

#[test]
fn a_campaign_whose_codes_are_not_known_yet_may_need_any() {
    let known = Known {
        unread: Some("7001".to_owned()),
        ..added(&["ours"])
    };
    let plan = planned(
        &[ours("OURS", "x", "archived", Some("x"))],
        &[("OURS", "x")],
        &known,
    );
    assert_eq!((plan.delete.len(), &*plan.refused[0].reason), (0, "in_use"));
    assert!(plan.refused[0].detail.contains("7001"));
}

#[test]
fn drafts_stay_here() {
    let plan = planned(&[ours("NEW", "x", "draft", None)], &[], &Known::default());
    assert_eq!(plan, Plan::default());
}
