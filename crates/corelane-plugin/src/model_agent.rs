//! An agent that answers questions with a model.

use std::{cell::RefCell, rc::Rc};

use corelane_agent::{Agent, Context};
use corelane_transport::{Flags, Message};

use crate::service::ModelService;

/// Answers every question with the model's output, or with the reason why it cannot.
pub struct ModelAgent {
    service: Rc<RefCell<ModelService>>,
}

impl ModelAgent {
    /// An agent over a service that others of its worker may share.
    pub fn new(service: Rc<RefCell<ModelService>>) -> Self {
        Self { service }
    }
}

impl Agent for ModelAgent {
    fn on_message(&mut self, cx: &mut Context<'_>, message: &Message) {
        if !message.envelope().flags.contains(Flags::ASK) {
            return;
        }
        // A reply fails only when the answer is longer than a lane carries; the asker is told.
        let mut service = self.service.borrow_mut();
        let replied = match service.answer(message.payload()) {
            Ok(answer) => cx.reply(answer).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = replied {
            let _ = cx.reply_error(&reason);
        }
    }
}
