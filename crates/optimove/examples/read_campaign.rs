//! Shows who gets which promo code in a campaign: `read_campaign BASE_URL API_KEY CAMPAIGN`.

#![expect(clippy::print_stdout, reason = "a program that shows what it read")]

use optimove::client::{Auth, Client};
use optimove::limits::PAGE_ROWS_DEFAULT;
use optimove::page::Paging;
use optimove::secret::Secret;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [base_url, key, campaign] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "usage: read_campaign BASE_URL API_KEY CAMPAIGN")?;
    let client = Client::builder(&base_url, Auth::ApiKey(Secret::new(key))).build()?;

    let details = client.get_campaign_details(&campaign).await?;
    println!(
        "starts after {:?}, lasts {:?}",
        details.lead_time, details.duration
    );

    let mut pages = client.execution_pages(&campaign, None, Paging::new(PAGE_ROWS_DEFAULT));
    while let Some(page) = pages.next().await? {
        page.for_each(|row| {
            let codes: Vec<&str> = row.promo_code.texts().collect();
            println!(
                "{}: {}",
                row.customer_id.as_deref().unwrap_or("(held)"),
                codes.join(" ")
            );
        })?;
    }
    Ok(())
}
