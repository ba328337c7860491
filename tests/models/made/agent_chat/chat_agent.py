"""Answers with the words of the last message, in reverse."""

from mlflow.models import set_model
from mlflow.pyfunc import ChatAgent
from mlflow.types.agent import ChatAgentMessage, ChatAgentResponse


class Reverse(ChatAgent):
    def predict(self, messages, context=None, custom_inputs=None):
        words = messages[-1].content.split()
        answer = ChatAgentMessage(role="assistant", content=" ".join(reversed(words)), id="msg_1")
        return ChatAgentResponse(messages=[answer], custom_outputs=custom_inputs)


set_model(Reverse())
