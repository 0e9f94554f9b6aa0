//! What came of one of the smaller campaigns of the demo.

use anyhow::Context;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::check::Compared;
use super::stage::{Stage, TENANT};

/// One campaign and its checks.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Act {
    pub(super) kind: &'static str,
    pub(super) campaign_id: String,
    /// Customers whom it was about.
    pub(super) customers: u64,
    /// Grants that should be there and be usable in their window.
    pub(super) expected: u64,
    /// Grants made, whatever became of them.
    pub(super) granted: u64,
    missing: u64,
    unexpected: u64,
    different_window: u64,
    /// Eligibility questions, and those whose answer was not as it should be.
    pub(super) questions: u64,
    pub(super) wrong_answers: u64,
    /// Checks that did not hold.
    failed: Vec<&'static str>,
    /// Whether every check held.
    pub(super) verified: bool,
}

impl Act {
    pub(super) fn new(kind: &'static str, campaign: &str, customers: u64) -> Self {
        Self {
            kind,
            campaign_id: campaign.to_owned(),
            customers,
            expected: 0,
            granted: 0,
            missing: 0,
            unexpected: 0,
            different_window: 0,
            questions: 0,
            wrong_answers: 0,
            failed: Vec::new(),
            verified: true,
        }
    }

    /// Notes a check by what it claims.
    pub(super) fn fails_unless(&mut self, holds: bool, claim: &'static str) {
        if !holds && !self.failed.contains(&claim) {
            self.failed.push(claim);
        }
        self.verified &= holds;
    }

    /// Takes over what the comparison with the oracle gave.
    pub(super) fn take(&mut self, compared: &Compared) {
        self.expected = compared.expected;
        self.missing = compared.missing;
        self.unexpected = compared.unexpected;
        self.different_window = compared.different_window;
        self.fails_unless(
            compared.is_equal() && compared.granted == self.granted,
            "the grants are those that should be there",
        );
    }

    /// Asks whether a customer may use a code; `reason` is the refusal it should be.
    pub(super) async fn ask(
        &mut self,
        stage: &Stage,
        customer: &str,
        code: &str,
        reason: Option<&str>,
    ) -> anyhow::Result<()> {
        let question = json!({"customer_id": customer, "promo_code": code});
        let path = format!("/v1/tenants/{TENANT}/eligibility");
        let answer = stage.service.ok(Method::POST, &path, &question).await?;
        let is_right =
            answer["eligible"] == reason.is_none() && answer["reason"].as_str() == reason;
        self.questions += 1;
        self.wrong_answers += u64::from(!is_right);
        self.fails_unless(is_right, "customers were told what they may use");
        Ok(())
    }

    /// Checks that each grant of the campaign has this status, and that the oracle expects none.
    pub(super) async fn expect_nothing_but(
        &mut self,
        status: &str,
        stage: &Stage,
        campaign: &str,
    ) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Line {
            status: String,
        }
        let mut others = 0_u64;
        let export = format!("/v1/tenants/{TENANT}/campaigns/{campaign}/grants");
        let look = |line: &[u8]| {
            let line: Line = serde_json::from_slice(line).context("a line of the export")?;
            others += u64::from(line.status != status);
            Ok(())
        };
        stage.service.lines(&export, look).await?;
        let mut expected = 0_u64;
        let oracle = format!("/_sandbox/campaigns/{campaign}/expected?tenant={TENANT}");
        let count = |_: &[u8]| {
            expected += 1;
            Ok(())
        };
        stage.sandbox.lines(&oracle, count).await?;
        self.expected = expected;
        self.unexpected = others;
        self.fails_unless(
            others == 0 && expected == 0,
            "none of its grants can be used",
        );
        Ok(())
    }
}
