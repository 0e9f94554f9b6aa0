//! Prints how many rows of a customers page are read per second on one core.

#![expect(
    clippy::print_stdout,
    reason = "a program whose result is a printed figure"
)]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::fmt::Write as _;
use std::time::Instant;

use optimove::wire::Page;

const ROWS: usize = 200_000;
const ROUNDS: u32 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut body = String::from("[");
    for row in 0..ROWS {
        let comma = if row == 0 { "" } else { "," };
        write!(
            body,
            "{comma}{{\"CustomerID\":\"P-{row:07}\",\"ActionID\":24,\"ChannelID\":504,\
             \"TemplateID\":520,\"TemplateName\":\"Reload EN\",\
             \"ScheduleTime\":\"2025-03-04 10:00:00\",\"PromoCode\":\"FS20,CB10\"}}"
        )?;
    }
    body.push(']');
    let bytes = body.len();
    let started = Instant::now();
    let page = Page::parse(body.into_bytes())?;
    let first = started.elapsed();

    let mut text = 0;
    let started = Instant::now();
    for _ in 0..ROUNDS {
        page.for_each(|row| text += row.customer_id.map_or(0, |id| id.len()))?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let rows = f64::from(ROUNDS) * page.len() as f64;
    println!(
        "{bytes} bytes, {} rows, checked once in {first:?}",
        page.len()
    );
    println!("{:.2} million rows/s", rows / seconds / 1e6);
    println!(
        "{:.0} MB/s ({text} bytes of ids)",
        f64::from(ROUNDS) * bytes as f64 / seconds / 1e6
    );
    Ok(())
}
