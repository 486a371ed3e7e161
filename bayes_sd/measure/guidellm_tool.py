"""Where GuideLLM is: its program and the tokenizer that it makes prompts with."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.loading import exists


@dataclass(frozen=True)
class GuideLLM:
    """Where GuideLLM is and which tokenizer it makes prompts with.

    Attributes
    ----------
    tokenizer : str
        Folder with a ``tokenizer.json`` (that of the verifier's checkpoint).
    command : str
        The program.
    """

    tokenizer: str
    command: str = "guidellm"

    def checked(self) -> GuideLLM:
        """Give it with the program's full path.

        Raises
        ------
        DataError
            If the program or the tokenizer is not there.
        """
        found = shutil.which(self.command)
        if found is None:
            raise DataError(
                f"{self.command}: GuideLLM is not installed here: pip install 'bayes_sd[guidellm]', or name the program of "
                "another environment with --guidellm-command"
            )
        if not exists(Path(self.tokenizer) / "tokenizer.json"):
            raise DataError(
                f"{self.tokenizer or '--tokenizer'}: GuideLLM needs a folder with tokenizer.json, that of the verifier's "
                "checkpoint, to make prompts of a known length: give it with --tokenizer"
            )
        return GuideLLM(self.tokenizer, found)
