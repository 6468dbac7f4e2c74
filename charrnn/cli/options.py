"""Every option, once: its names, help and environment variable (CHARRNN_<NAME>). Defaults are the configuration's."""

from typing import Annotated, Any, Literal

import typer

from charrnn import config
from charrnn.recurrent.registry import CORES


def _option(*names: str, help: str, panel: str | None = None, **more: Any) -> Any:
    """An option that its environment variable can set, too, named after its first long name."""
    variable = "CHARRNN_" + names[0].partition("/")[0].strip("-").replace("-", "_").upper()
    return typer.Option(*names, help=help, rich_help_panel=panel, envvar=variable, show_envvar=False, **more)


_TEXT, _MODEL, _TRAINING, _BUDGET = "Text", "Network", "Training", "Budget (the one that ends first counts)"

Corpus = Annotated[
    list[str] | None,
    typer.Argument(
        help="Files, folders (their .txt and .md), globs, .gz, or - for standard input; joined in this order.",
        show_default=False,
    ),
]
Text = Annotated[
    list[str] | None,
    typer.Argument(
        help="The text to score, as for train; without it, the model's own validation text.", show_default=False
    ),
]

Unit = Annotated[config.Unit, _option("--unit", help="What the network reads and writes.", panel=_TEXT)]
Encoding = Annotated[str, _option("--encoding", help="How the text's bytes are decoded, strictly.", panel=_TEXT)]
TextEncoding = Annotated[
    str | None, _option("--encoding", help="How TEXT is decoded; the model's own, if not given.", show_default=False)
]
Normalize = Annotated[
    config.Normalization | None,
    _option("--normalize", help="Unicode normalisation; nfd takes Korean apart into jamo.", panel=_TEXT),
]
Newlines = Annotated[
    config.Newlines, _option("--newlines", help="Line ends as they are, or CRLF and CR made LF.", panel=_TEXT)
]
Documents = Annotated[
    config.Documents,
    _option("--documents", help="One running text, or many documents: lines, blocks, files.", panel=_TEXT),
]
Labels = Annotated[
    bool | None,
    _option(
        "--labels/--no-labels",
        help="Each document has one: LABEL, a tab, its text; or its folder's name.",
        panel=_TEXT,
        show_default=False,
    ),
]
Validation = Annotated[
    float, _option("--validation", help="Share of the text that is held out; 0 turns it off.", panel=_TEXT)
]

Cell = Annotated[
    str, _option("--cell", help=f"Recurrent core: {', '.join(CORES)}. auto takes one by the text.", panel=_MODEL)
]
Layers = Annotated[int | None, _option("--layers", help="Recurrent layers.", panel=_MODEL)]
HiddenSize = Annotated[int | None, _option("--hidden-size", help="Units in each of them.", panel=_MODEL)]
Encoder = Annotated[config.Encoder, _option("--encoder", help="How characters go in.", panel=_MODEL)]
EmbeddingSize = Annotated[int | None, _option("--embedding-size", help="Width of an embedding.", panel=_MODEL)]
Dropout = Annotated[float | None, _option("--dropout", help="Dropped of each layer's outputs.", panel=_MODEL)]
InputDropout = Annotated[float, _option("--input-dropout", help="Dropped of what the first layer reads.", panel=_MODEL)]
RecurrentDropout = Annotated[
    float, _option("--recurrent-dropout", help="Dropped within the layers, one mask a sequence.", panel=_MODEL)
]
Zoneout = Annotated[float, _option("--zoneout", help="Chance of a unit to keep its last value.", panel=_MODEL)]
Residual = Annotated[
    bool, _option("--residual/--no-residual", help="Each layer but the first adds to what it reads.", panel=_MODEL)
]


def _refuse_bidirectional(wanted: bool) -> None:
    if wanted:
        raise config.bidirectional_error("--bidirectional")


Bidirectional = Annotated[bool, typer.Option("--bidirectional", hidden=True, callback=_refuse_bidirectional)]

Time = Annotated[str | None, _option("--time", help="Such as 90s, 3m or 1h30m.", panel=_BUDGET)]
Epochs = Annotated[float | None, _option("--epochs", help="Passes over the training text.", panel=_BUDGET)]
Steps = Annotated[int | None, _option("--steps", help="Updates of the weights.", panel=_BUDGET)]
Patience = Annotated[
    int | None, _option("--patience", help="Stop after so many validations without a new best.", panel=_BUDGET)
]

BatchSize = Annotated[int | None, _option("--batch-size", help="Streams, or documents, a step.", panel=_TRAINING)]
SequenceLength = Annotated[int | None, _option("--sequence-length", help="Characters of each a step.", panel=_TRAINING)]
FromModel = Annotated[
    str | None,
    _option("--from", help="Train this model further: a checkpoint file or a run's folder.", panel=_TRAINING),
]
Optimizer = Annotated[
    config.OptimizerName,
    _option("--optimizer", help="muon is for recurrent matrices, beside adamw; auto by text.", panel=_TRAINING),
]
LearningRate = Annotated[float | None, _option("--learning-rate", help="At its peak; by cell.", panel=_TRAINING)]
WeightDecay = Annotated[float, _option("--weight-decay", help="On matrices, embeddings aside.", panel=_TRAINING)]
WarmupSteps = Annotated[int, _option("--warmup-steps", help="Until the peak, a tenth at most.", panel=_TRAINING)]
GradientClip = Annotated[float, _option("--gradient-clip", help="Largest gradient norm.", panel=_TRAINING)]
ValidateEvery = Annotated[
    int | None, _option("--validate-every", help="Steps between validations and checkpoints.", panel=_TRAINING)
]
ReportEvery = Annotated[int | None, _option("--report-every", help="Steps between reports.", panel=_TRAINING)]
TrainingSeed = Annotated[int, _option("--seed", help="Of weights, dropout, order and split.", panel=_TRAINING)]

Device = Annotated[config.Device, _option("--device", help="auto is cuda where there is one, else cpu.")]
Precision = Annotated[
    config.Precision, _option("--precision", help="Of products; auto is bf16 where that is faster.", panel=_TRAINING)
]
Threads = Annotated[int | None, _option("--threads", help="Of the CPU that compute; else one a core.", panel=_TRAINING)]
Nproc = Annotated[int, _option("--nproc", help="Processes that train together, each on its GPU.", panel=_TRAINING)]
Model = Annotated[
    str | None,
    _option(
        "--model",
        help="A checkpoint file or a run's folder; else the newest run in ./checkpoints, else the demo.",
        show_default=False,
    ),
]
Name = Annotated[
    str | None,
    _option("--name", help="The run's folder in ./checkpoints; else named after text and cell.", show_default=False),
]
Config = Annotated[
    str | None, _option("--config", help="Settings from a TOML file, such as a run's run.toml.", show_default=False)
]
Resume = Annotated[
    str | None,
    _option(
        "--resume",
        help="Go on with the newest run, or the run or checkpoint at PATH; auto: with --name, which it may begin.",
        metavar="[PATH|auto]",
        show_default=False,
    ),
]
DryRun = Annotated[bool, _option("--dry-run", help="Say what would be done and how long it would take, and stop.")]
AcceptNewCorpus = Annotated[
    bool, _option("--accept-new-corpus", help="Resume though the text has changed since the run began.")
]
Quiet = Annotated[bool, _option("--quiet", "-q", help="Only errors on stderr.")]

Prime = Annotated[str | None, _option("--prime", "-p", help="Text to go on from.", show_default=False)]
PrimeFile = Annotated[
    str | None, _option("--prime-file", help="The same from a file, or - for standard input.", show_default=False)
]
PrimeLines = Annotated[
    str | None,
    _option("--prime-lines", help="Go on from each line of a file, or - for standard input.", show_default=False),
]
SaveState = Annotated[
    str | None, _option("--save-state", help="Keep the state after the prime in a new FILE.", metavar="FILE")
]
LoadState = Annotated[
    str | None, _option("--load-state", help="Begin where such a FILE ends, then the prime.", metavar="FILE")
]
Unknown = Annotated[
    Literal["error", "skip", "token"],
    _option("--unknown", help="What becomes of characters of the prime that the model never saw."),
]
Echo = Annotated[bool, _option("--echo/--no-echo", help="Write the prime, too.")]
Length = Annotated[int, _option("--length", "-n", help="Characters (or bytes) to write; 0 never ends.")]
Temperature = Annotated[
    float, _option("--temperature", "-t", help="Below 1 safer, above 1 wilder; 0 always the likeliest.")
]
TopK = Annotated[int | None, _option("--top-k", "-k", help="Draw from the K likeliest characters.")]
TopP = Annotated[float | None, _option("--top-p", help="Draw from the likeliest of total probability P.")]
MinP = Annotated[float | None, _option("--min-p", help="Drop what is less likely than P times the likeliest.")]
Typical = Annotated[
    float | None, _option("--typical", help="Draw from what surprises about as expected, of total probability P.")
]
RepetitionPenalty = Annotated[
    float, _option("--repetition-penalty", help="Makes the characters just written less likely; 1 does not.")
]
RepetitionWindow = Annotated[int, _option("--repetition-window", help="How many were just written.")]
Allow = Annotated[
    str | None, _option("--allow", help="Write only these: characters, \\d, \\p{Lu}.", show_default=False)
]
Ban = Annotated[str | None, _option("--ban", help="Never write these, said in the same way.", show_default=False)]
MinLength = Annotated[int, _option("--min-length", help="The document does not end before so many characters.")]
Stop = Annotated[
    list[str] | None, _option("--stop", help="End before this text; can be given several times.", show_default=False)
]
Lines = Annotated[int | None, _option("--lines", help="End after so many lines.", show_default=False)]
SampleBeam = Annotated[
    int | None, _option("--beam", help="The most likely text, of N kept side by side.", show_default=False)
]
Novel = Annotated[
    int | None, _option("--novel", help="Never K characters in a row as in the training text.", show_default=False)
]
Label = Annotated[
    str | None, _option("--label", help="In the manner of this one; else drawn by its share.", show_default=False)
]
Null = Annotated[bool, _option("--null", "-0", help="End each sample with NUL, not with a newline.")]
Raw = Annotated[
    bool | None,
    _option(
        "--raw/--escape",
        help="Control characters as they are (else in a pipe), or shown (else on a terminal).",
        show_default=False,
    ),
]
UntilEnd = Annotated[
    bool | None,
    _option(
        "--until-end/--no-until-end",
        help="Stop where the document ends (the default for a model of documents).",
        show_default=False,
    ),
]
NumSamples = Annotated[int, _option("--num-samples", help="Write several, each ended by a newline.")]
SamplingSeed = Annotated[
    int | None, _option("--seed", help="Same seed, same text; else random, and told.", show_default=False)
]
Engine = Annotated[
    Literal["auto", "numpy", "torch"], _option("--engine", help="What steps the network: numpy on a CPU, else torch.")
]

Protocol = Annotated[
    Literal["carried", "windowed"],
    _option("--protocol", help="The state carried through each document, or windows from a zero state."),
]
Window = Annotated[int, _option("--window", help="Targets in a window.")]
PerLine = Annotated[bool, _option("--per-line", help="What each line costs; with --json, JSON lines.")]
PerCharacter = Annotated[bool, _option("--per-character", help="What each character costs, in the same way.")]
Classify = Annotated[bool, _option("--classify", help="The likeliest label of each document, or line.")]
Novelty = Annotated[bool, _option("--novelty", help="Which share of it stands in the training text, word for word.")]
CopiedCorpus = Annotated[
    list[str] | None,
    _option("--corpus", help="The text not to be copied, if not the one trained on; repeatable.", show_default=False),
]
Heat = Annotated[bool, _option("--heat", help="The text, shaded by how surprising each character is.")]
Html = Annotated[
    str | None,
    _option("--html", help="The same as a page of HTML, in a new FILE or - for standard output.", metavar="FILE"),
]
Json = Annotated[bool, _option("--json", help="One JSON object on stdout, or lines of them.")]
Dynamic = Annotated[
    bool, _option("--dynamic", help="Score also with weights that go on learning from the text as it is read.")
]
DynamicRate = Annotated[float | None, _option("--dynamic-rate", help="How fast they learn.", show_default=False)]
DynamicDecay = Annotated[
    float | None,
    _option("--dynamic-decay", help="How fast they go back to what was trained.", show_default=False),
]

Models = Annotated[  # whose variable has one path, which may have spaces in it: the command reads it
    list[str] | None, typer.Option("--model", help="As for eval; can be given several times.", show_default=False)
]
Targets = Annotated[int, _option("--targets", help="Characters that are predicted, spread over the text.")]
Plot = Annotated[
    str | None,
    _option("--plot", help="Also a picture in a new FILE, .png or .svg (pip install 'charrnn[plot]').", metavar="FILE"),
]
Neuron = Annotated[int | None, _option("--neuron", help="The unit whose values are shown, from 1.", show_default=False)]
Layer = Annotated[int | None, _option("--layer", help="Its layer, from 1; else the topmost.", show_default=False)]
Gate = Annotated[
    str | None,
    _option("--gate", help="h, the default; of an lstm c, i, f, g, o, too; of a gru r, z, n.", show_default=False),
]
Find = Annotated[
    Literal["quotes", "brackets", "line-length"] | None,
    _option("--find", help="The units that follow this property of the text most.", show_default=False),
]
Embedding = Annotated[bool, _option("--embedding", help="The learned alphabet, which needs no text.")]
Characters = Annotated[int, _option("--characters", help="How many of the text are read.")]

Cells = Annotated[str, _option("--cells", help="Cores to compare, with commas between.", panel=_MODEL)]
HiddenSizes = Annotated[
    str | None, _option("--hidden-sizes", help="To try, such as 128,256; else as for train.", panel=_MODEL)
]
LearningRates = Annotated[
    str | None,
    _option("--learning-rates", help="To try, such as 3e-3,6e-3; else by cell, half and double.", panel=_TRAINING),
]
TrialTime = Annotated[
    str | None, _option("--trial-time", help="Of each trial; 0 is no search; else a sixth of --time.", panel=_BUDGET)
]
TrialSteps = Annotated[int | None, _option("--trial-steps", help="The same in steps, of --steps.", panel=_BUDGET)]
Top = Annotated[int, _option("--top", help="How many, the likeliest first.")]
GappedText = Annotated[str, typer.Argument(help="The text, with _ for each missing character.", show_default=False)]
Blank = Annotated[str, _option("--blank", help="What stands for a missing character.")]
MostMissing = Annotated[
    int | None, _option("--most", help="1 to N characters are missing, not one for each _.", show_default=False)
]
FillBeam = Annotated[int, _option("--beam", help="Fillings kept side by side at each length.")]
JsonRows = Annotated[bool, _option("--json", help="JSON lines on stdout.")]
JsonLines = Annotated[bool, _option("--json", help="One JSON object a cell on stdout, as soon as it is known.")]

File = Annotated[str, typer.Argument(help="The file, or - for standard input.", show_default=False)]
Output = Annotated[
    str | None, _option("--output", "-o", help="The new file's name, or - for standard output.", show_default=False)
]
