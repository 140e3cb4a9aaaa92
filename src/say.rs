//! Messages, said value by value to whatever takes bytes.
//!
//! ```text
//! console.say(Message::SINCE).number(6).number(12);      since Linux 6.12
//! ```

use crate::{messages::Message, pairs, text::Sink};

/// Says messages: each up to its first `%`, where a value is said, and then on to the next.
// Nothing of it is inlined: it is called everywhere.
pub trait Say: Sink + Sized {
    /// What is left to say of a message.
    fn rest(&mut self) -> &mut &'static [u8];

    /// Says `message`.
    #[inline(never)]
    fn say(&mut self, message: Message) -> &mut Self {
        *self.rest() = pairs::find(message);
        self.go_on()
    }

    /// Says what is left, up to the next value.
    #[inline(never)]
    fn go_on(&mut self) -> &mut Self {
        while let [first, behind @ ..] = *self.rest() {
            *self.rest() = behind;
            if *first == b'%' {
                break;
            }
            pairs::unpack(*first, self);
        }
        self
    }

    /// A value: `number` in decimal.
    #[inline(never)]
    fn number(&mut self, number: u64) -> &mut Self {
        (self as &mut dyn Sink).decimal(number);
        self.go_on()
    }

    /// A value: `address` in hexadecimal, after `0x`.
    #[inline(never)]
    fn address(&mut self, address: u64) -> &mut Self {
        self.put(b"0x");
        (self as &mut dyn Sink).hex(address, 1);
        self.go_on()
    }

    /// A value: another message, which has none.
    #[inline(never)]
    fn word(&mut self, message: Message) -> &mut Self {
        let rest = *self.rest();
        *self.say(message).rest() = rest;
        self.go_on()
    }

    /// A value: what somebody else wrote, as `shown` writes it.
    #[inline(never)]
    fn foreign(&mut self, text: &[u8]) -> &mut Self {
        (self as &mut dyn Sink).shown(text);
        self.go_on()
    }
}
