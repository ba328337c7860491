"""Answers with the words of the last message, in reverse."""

from mlflow.models import set_model
from mlflow.pyfunc import ChatModel
from mlflow.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage


class Reverse(ChatModel):
    def predict(self, context, messages, params):
        words = messages[-1].content.split()[: params.max_tokens]
        message = ChatMessage(role="assistant", content=" ".join(reversed(words)))
        choice = ChatChoice(index=0, message=message)
        return ChatCompletionResponse(choices=[choice], model="reverse", created=1)


set_model(Reverse())
