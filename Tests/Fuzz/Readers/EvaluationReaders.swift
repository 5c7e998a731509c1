import Evaluation
import Experiments
import Foundation

extension FuzzReader {
  static let evaluation = [predictions, samples, validation]

  private static let predictions = FuzzReader(
    "predictions", "file of predictions: JSON Lines, a JSON array, or CSV",
    dictionary: [
      "target", "prediction", "prompt", "logprob", "count", "row", "tokens", "choices", "\"\"", ",", "\"", "\r\n", "[",
    ]
  ) {
    [
      FuzzInput(
        .jsonLines,
        #"{"prompt": "p", "target": "4", "prediction": "four 4"}"# + "\n" + #"{"logprob": -1.5, "count": 3}"#),
      FuzzInput(.jsonLines, #"[{"target": "a", "prediction": "b"}, {"target": "1", "prediction": "x"}]"#),
      FuzzInput(.text, "target,prediction\n4,\"four, \"\"4\"\"\"\n\"a\nb\",c\n"),
    ]
  } open: { workspace in
    { input in
      let isTable = input.parts.first?.kind == .text || input.bytes.starts(with: "target,".utf8)
      let path = try workspace.write(input.bytes, isTable ? "predictions.csv" : "predictions.jsonl")
      _ = try PredictionFile.answers(path: path)
    }
  }

  private static let samples = FuzzReader(
    "samples", "scored samples of an evaluation, and its unfinished log",
    dictionary: [
      "scores", "prompt", "target", "row", "prediction", "tokens", "choices", "label", "logprob", "count", "true",
    ]
  ) {
    let line = """
      {"row": 1, "prompt": "p", "target": "a", "prediction": "b", "tokens": [1, 2], "logprob": -0.5, "count": 2,\
       "choices": [{"label": "a", "logprob": -1.0, "count": 1, "bytes": 1, "right": true}], "scores": {"match": true, "f": 0.5}}
      """
    return [FuzzInput(.jsonLines, line + "\n" + line.replacing("\"row\": 1", with: "\"row\": 2") + "\n")]
  } open: { workspace in
    try workspace.write(#"{"run": {"task": "x"}, "isFinished": false}"#, "samples.run.json")
    return { input in
      let path = try workspace.write(input.bytes, "samples.jsonl")
      defer { _ = try? workspace.write(#"{"run": {"task": "x"}, "isFinished": false}"#, "samples.run.json") }
      let log = try SampleLog(path: path, run: ["task": "x"], resume: true)
      _ = log.answers.count
      let file = try SampleFile(path: try workspace.write(input.bytes, "samples.jsonl"))
      _ = try RunComparison(file, file, resamples: 10)
    }
  }

  private static let validation = FuzzReader(
    "validation", "validation.jsonl of a run",
    dictionary: ["phase", "step", "data", "rows", "labels", "loss", "token_loss", "null"]
  ) {
    let line =
      #"{"phase": "adaptation", "step": 10, "data": "dev.jsonl", "rows": 4, "labels": 9, "loss": 3.5, "token_loss": 1.2}"#
    return [FuzzInput(.jsonLines, "\(line)\n\(line)\n")]
  } open: { workspace in
    { input in
      let path = try workspace.write(input.bytes, "validation.jsonl")
      _ = try ValidationFile.points(path: path, stage: "first", tasks: ["dev.jsonl": "a"])
    }
  }
}
