//! What each unit is of its quantity's base: metre, kilogram, kelvin, litre, metre per second.

use crate::exports::example::units::conversion::{Quantity, Unit};

/// How a unit counts.
pub struct Scale {
    pub quantity: Quantity,
    /// So many of the base are one of it.
    factor: f64,
    /// Its zero, in its own units above the base's zero. Only temperatures have one.
    offset: f64,
}

/// All units, in the order of the WIT.
pub const ALL: [Unit; 32] = [
    Unit::Millimetre,
    Unit::Centimetre,
    Unit::Metre,
    Unit::Kilometre,
    Unit::Inch,
    Unit::Foot,
    Unit::Yard,
    Unit::Mile,
    Unit::NauticalMile,
    Unit::Milligram,
    Unit::Gram,
    Unit::Kilogram,
    Unit::Tonne,
    Unit::Ounce,
    Unit::Pound,
    Unit::Stone,
    Unit::Celsius,
    Unit::Fahrenheit,
    Unit::Kelvin,
    Unit::Millilitre,
    Unit::Litre,
    Unit::CubicMetre,
    Unit::UsFluidOunce,
    Unit::UsCup,
    Unit::UsPint,
    Unit::UsGallon,
    Unit::ImperialPint,
    Unit::ImperialGallon,
    Unit::MetrePerSecond,
    Unit::KilometrePerHour,
    Unit::MilePerHour,
    Unit::Knot,
];

impl Scale {
    /// The definitions of the international yard and pound, of the US gallon (231 cubic inches) and of the imperial gallon.
    pub fn of(unit: Unit) -> Self {
        let (quantity, factor, offset) = match unit {
            Unit::Millimetre => (Quantity::Length, 0.001, 0.0),
            Unit::Centimetre => (Quantity::Length, 0.01, 0.0),
            Unit::Metre => (Quantity::Length, 1.0, 0.0),
            Unit::Kilometre => (Quantity::Length, 1_000.0, 0.0),
            Unit::Inch => (Quantity::Length, 0.025_4, 0.0),
            Unit::Foot => (Quantity::Length, 0.304_8, 0.0),
            Unit::Yard => (Quantity::Length, 0.914_4, 0.0),
            Unit::Mile => (Quantity::Length, 1_609.344, 0.0),
            Unit::NauticalMile => (Quantity::Length, 1_852.0, 0.0),
            Unit::Milligram => (Quantity::Mass, 0.000_001, 0.0),
            Unit::Gram => (Quantity::Mass, 0.001, 0.0),
            Unit::Kilogram => (Quantity::Mass, 1.0, 0.0),
            Unit::Tonne => (Quantity::Mass, 1_000.0, 0.0),
            Unit::Ounce => (Quantity::Mass, 0.028_349_523_125, 0.0),
            Unit::Pound => (Quantity::Mass, 0.453_592_37, 0.0),
            Unit::Stone => (Quantity::Mass, 6.350_293_18, 0.0),
            Unit::Celsius => (Quantity::Temperature, 1.0, 273.15),
            Unit::Fahrenheit => (Quantity::Temperature, 5.0 / 9.0, 459.67),
            Unit::Kelvin => (Quantity::Temperature, 1.0, 0.0),
            Unit::Millilitre => (Quantity::Volume, 0.001, 0.0),
            Unit::Litre => (Quantity::Volume, 1.0, 0.0),
            Unit::CubicMetre => (Quantity::Volume, 1_000.0, 0.0),
            Unit::UsFluidOunce => (Quantity::Volume, 0.029_573_529_562_5, 0.0),
            Unit::UsCup => (Quantity::Volume, 0.236_588_236_5, 0.0),
            Unit::UsPint => (Quantity::Volume, 0.473_176_473, 0.0),
            Unit::UsGallon => (Quantity::Volume, 3.785_411_784, 0.0),
            Unit::ImperialPint => (Quantity::Volume, 0.568_261_25, 0.0),
            Unit::ImperialGallon => (Quantity::Volume, 4.546_09, 0.0),
            Unit::MetrePerSecond => (Quantity::Speed, 1.0, 0.0),
            Unit::KilometrePerHour => (Quantity::Speed, 1.0 / 3.6, 0.0),
            Unit::MilePerHour => (Quantity::Speed, 0.447_04, 0.0),
            Unit::Knot => (Quantity::Speed, 1_852.0 / 3_600.0, 0.0),
        };
        Self { quantity, factor, offset }
    }

    pub fn to_base(&self, value: f64) -> f64 {
        (value + self.offset) * self.factor
    }

    /// With the 15 digits that a 64-bit float has, counted from the first of the whole number: 32 °F are 0 °C, not 5.7e-14.
    pub fn from_base(&self, value: f64) -> f64 {
        let whole = value / self.factor;
        let value = whole - self.offset;
        let decimals = 14.0 - whole.abs().log10().floor();
        if !(0.0..=300.0).contains(&decimals) {
            return value;
        }
        format!("{value:.*}", decimals as usize).parse().unwrap_or(value)
    }
}
