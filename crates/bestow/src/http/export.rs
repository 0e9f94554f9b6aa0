//! Exports: one line for each grant or unique code of a campaign, or each promotion, streamed. Memory is the same for ten lines and
//! ten million.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::error::Result;
use crate::formula;
use crate::http::problem::Problem;
use crate::http::routes::Inner;
use crate::service::codes::{CampaignCodes, CodeRow};
use crate::service::grants::{CampaignGrants, GrantView};
use crate::service::promotions::{self, Catalogue, PromotionView};
use crate::table;

/// Bytes of one piece of an export.
const PIECE_BYTES: usize = 64 * 1_024;
/// Pieces written ahead of a client that reads slowly.
const PIECES_AHEAD_MAX: usize = 4;

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object a line.
    Ndjson,
    /// A line with the names of the columns, then one line for each row.
    Csv,
}

impl Format {
    /// The export that the request asks for, if it asks for one.
    pub(crate) fn asked_for(headers: &HeaderMap) -> Option<Self> {
        let accept = headers.get(ACCEPT)?.to_str().ok()?;
        accept.split(',').find_map(|one| {
            match one
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
                .as_str()
            {
                "application/x-ndjson" => Some(Self::Ndjson),
                "text/csv" => Some(Self::Csv),
                _ => None,
            }
        })
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        })
    }

    fn begin<R: Row>(self, out: &mut Vec<u8>) {
        if self == Self::Csv {
            out.extend_from_slice(R::COLUMNS.join(",").as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    fn write<R: Row>(self, row: &R, out: &mut Vec<u8>) {
        match self {
            Self::Ndjson => {
                serde_json::to_writer(&mut *out, row).expect("texts and numbers are always JSON");
                out.push(b'\n');
            }
            Self::Csv => {
                for (place, cell) in row.cells().iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    R::READER.write(cell, out);
                }
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

/// Who reads a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// People, in a spreadsheet: what looks like a formula is guarded.
    Spreadsheet,
    /// A program that looks values up: each is exactly what it is.
    Program,
}

/// What an export has a line of.
pub(crate) trait Row: Serialize {
    /// Names of the columns of a table.
    const COLUMNS: &'static [&'static str];
    /// For whom the table is.
    const READER: Reader;

    /// What stands in them.
    fn cells(&self) -> Vec<Cow<'_, str>>;
}

/// Rows that are worked out one after the other, on a thread of their own.
pub(crate) trait Walk {
    /// What it walks through.
    type Row: Row;

    /// The next row; `None` at the end.
    fn next_row(&mut self) -> Result<Option<Self::Row>>;
}

impl Walk for CampaignGrants {
    type Row = GrantView;

    fn next_row(&mut self) -> Result<Option<GrantView>> {
        Ok(self.next_grant()?.map(|(_, grant)| grant))
    }
}

impl Walk for CampaignCodes {
    type Row = CodeRow;

    fn next_row(&mut self) -> Result<Option<CodeRow>> {
        self.next_code()
    }
}

impl Walk for Catalogue {
    type Row = PromotionView;

    fn next_row(&mut self) -> Result<Option<PromotionView>> {
        self.next_promotion()
    }
}

/// The answer that writes all rows of the walk. A failure on the way breaks the answer off, so
/// that half an export cannot pass for a whole one.
pub(crate) fn answer<W: Walk>(
    shared: &Inner,
    format: Format,
    walk: impl FnOnce() -> Result<W> + Send + 'static,
) -> std::result::Result<Response, Problem> {
    let Ok(place) = Arc::clone(&shared.exports).try_acquire_owned() else {
        let detail = "Too many exports are being written at the moment.";
        return Err(Problem::unavailable("too_many_exports", detail));
    };
    let (sender, mut receiver) = mpsc::channel(PIECES_AHEAD_MAX);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        if let Err(error) = walk().and_then(|walk| write_all(walk, format, &sender)) {
            tracing::error!(%error, "an export was broken off");
            // Nobody is left to be told where this fails.
            let _ = sender.blocking_send(Err(std::io::Error::other("broken off")));
        }
    });
    let body = Body::from_stream(stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, format.content_type());
    Ok(response)
}

type Piece = std::result::Result<Bytes, std::io::Error>;

fn write_all<W: Walk>(mut walk: W, format: Format, sender: &mpsc::Sender<Piece>) -> Result<()> {
    let mut out = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
    format.begin::<W::Row>(&mut out);
    while let Some(row) = walk.next_row()? {
        format.write(&row, &mut out);
        if out.len() >= PIECE_BYTES {
            let piece = Bytes::copy_from_slice(&out);
            out.clear();
            if sender.blocking_send(Ok(piece)).is_err() {
                // The client went away.
                return Ok(());
            }
        }
    }
    let _ = sender.blocking_send(Ok(out.into()));
    Ok(())
}

impl Row for GrantView {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "customer_id",
        "promo_code",
        "unique_code",
        "campaign_id",
        "action_id",
        "channel_id",
        "source",
        "status",
        "starts_at",
        "ends_at",
        "redeemed_count",
        "created_at",
    ];
    const READER: Reader = Reader::Spreadsheet;

    fn cells(&self) -> Vec<Cow<'_, str>> {
        let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
        vec![
            Cow::from(&self.id),
            Cow::from(&self.customer_id),
            Cow::from(&self.promo_code),
            self.unique_code.as_deref().unwrap_or_default().into(),
            Cow::from(&self.campaign_id),
            number(self.action_id).into(),
            number(self.channel_id).into(),
            Cow::from(&self.source),
            self.status.into(),
            self.starts_at.to_string().into(),
            self.ends_at
                .map(|at| at.to_string())
                .unwrap_or_default()
                .into(),
            self.redeemed_count.to_string().into(),
            self.created_at.to_string().into(),
        ]
    }
}

impl Row for PromotionView {
    const COLUMNS: &'static [&'static str] = &promotions::COLUMNS;
    const READER: Reader = Reader::Spreadsheet;

    fn cells(&self) -> Vec<Cow<'_, str>> {
        promotions::cells(self).map(Cow::from).into()
    }
}

impl Row for CodeRow {
    const COLUMNS: &'static [&'static str] =
        &["user_campaignid", "promo_code", "promocode", "expiry_date"];
    /// A data connection finds a customer's code by the key.
    const READER: Reader = Reader::Program;

    fn cells(&self) -> Vec<Cow<'_, str>> {
        vec![
            Cow::from(&self.user_campaignid),
            Cow::from(&self.promo_code),
            Cow::from(&self.promocode),
            self.expiry_date.as_deref().unwrap_or_default().into(),
        ]
    }
}

impl Reader {
    /// A cell, quoted where need be.
    fn write(self, cell: &str, out: &mut Vec<u8>) {
        let cell = match self {
            Self::Spreadsheet => formula::guarded(cell),
            Self::Program => Cow::from(cell),
        };
        out.extend_from_slice(table::quoted(&cell).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(reader: Reader, text: &str) -> String {
        let mut out = Vec::new();
        reader.write(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_need_be_and_formulas_are_for_programs_only() {
        let cells = [
            ("C-1", "C-1", "C-1"),
            ("a,\"b\"", "\"a,\"\"b\"\"\"", "\"a,\"\"b\"\"\""),
            (" x", "\" x\"", "\" x\""),
            ("=1+1", "'=1+1", "=1+1"),
            ("@x,y", "\"'@x,y\"", "\"@x,y\""),
            ("\tx", "'\tx", "\"\tx\""),
        ];
        for (text, sheet, exact) in cells {
            assert_eq!(cell(Reader::Spreadsheet, text), sheet);
            assert_eq!(cell(Reader::Program, text), exact);
        }
    }
}
