//! Converts units. An ordinary component: its functions and their types are all that a gateway needs to make tools of them.

mod unit;

wit_bindgen::generate!({ path: "wit" });

use exports::example::units::conversion::{Guest, Measurement, Problem, Quantity, Unit};
use unit::{ALL, Scale};

/// The comments of the WIT, where tools look for them; `build.rs` makes it.
#[used]
#[unsafe(link_section = "package-docs")]
static DOCS: [u8; include_bytes!(concat!(env!("OUT_DIR"), "/package-docs")).len()] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/package-docs"));

struct Units;

impl Guest for Units {
    fn convert(measurement: Measurement, to: Unit) -> Result<Measurement, Problem> {
        let (from, target) = (Scale::of(measurement.unit), Scale::of(to));
        if from.quantity != target.quantity {
            return Err(Problem::Incompatible((from.quantity, target.quantity)));
        }
        let base = from.to_base(measurement.value);
        if from.quantity == Quantity::Temperature && base < 0.0 {
            return Err(Problem::BelowAbsoluteZero);
        }
        // As it came, where there is nothing to convert: no digit is to be lost on the way.
        let value = if measurement.unit == to { measurement.value } else { target.from_base(base) };
        Ok(Measurement { value, unit: to })
    }

    fn convert_all(measurements: Vec<Measurement>, to: Unit) -> Result<Vec<Measurement>, Problem> {
        measurements.into_iter().map(|measurement| Self::convert(measurement, to)).collect()
    }

    fn known(quantity: Option<Quantity>) -> Vec<Unit> {
        ALL.into_iter().filter(|unit| quantity.is_none_or(|quantity| Scale::of(*unit).quantity == quantity)).collect()
    }
}

export!(Units);
