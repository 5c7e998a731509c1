import Foundation
import TestSupport
import Testing

/// Wrong usage ends with status 64 and the usage line; help matches the snapshots.
struct UsageTests {
  static let training = ["train", "--model", "m", "--data", "d", "--out", "o"]

  @Test(
    "wrong usage",
    arguments: [
      (["--nonsense"], "--nonsense"),
      (["conjure"], "conjure"),
      (["train"], "--model"),
      (["train", "--model", "m", "--out", "o"], "--data"),
      (training + ["--method", "magic"], "magic"),
      (training + ["--nonsense"], "--nonsense"),
      (training + ["--steps"], "--steps"),
      (training + ["--steps", "many"], "many"),
      (training + ["--steps", "1.5"], "1.5"),
      (training + ["--steps", "1", "--epochs", "1"], "--steps and --epochs exclude each other"),
      (training + ["--calibration-steps", "1", "--calibration-fraction", "1"], "exclude each other"),
      (training + ["--mask", "a", "--calibration-steps", "1"], "--mask replaces calibration"),
      (training + ["--mask", "a", "--rank-by", "snip"], "leave out --rank-by"),
      (training + ["--mask", "a", "--iterate", "0.9,0.99"], "leave out --iterate"),
      (training + ["--rank-by", "luck"], "luck"),
      (training + ["--quota", "layer"], "layer"),
      (training + ["--scope", "biases"], "biases"),
      (training + ["--iterate", "0.9"], "0.9"),
      (training + ["--iterate", "0.99,0.9"], "0.99,0.9"),
      (training + ["--iterate", "0.5,0.9", "--sparsity", "0.9"], "--iterate and --sparsity exclude each other"),
      (training + ["--stop-every", "5"], "--stop-every needs"),
      (training + ["--stop-overlap", "0"], "above 0 and at most 1"),
      (training + ["--self-stopping", "--calibration-steps", "1"], "--self-stopping needs more than"),
      (training + ["--rank-by", "snip", "--calibration-steps", "0"], "--rank-by needs more than"),
      (training + ["--method", "fft", "--scope", "norms"], "--scope is for tickets: leave it out with --method fft"),
      (training + ["--method", "lora", "--self-stopping"], "--self-stopping is for tickets"),
      (["calibrate", "--model", "m", "--data", "d", "--out", "o", "--sparsity", "0.5"], "--sparsity needs"),
      (["mask", "extract", "--base", "m", "--out", "o"], "either --base and --tuned, or --scores"),
      (["mask", "extract", "--scores", "s", "--base", "m", "--out", "o"], "either --base and --tuned"),
      (["mask", "extract", "--scores", "s", "--scope", "norms", "--out", "o"], "leave out --scope"),
      (training + ["--optimizer", "lion"], "rmsprop, adamw, sgd"),
      (training + ["--rank", "4"], "--rank needs --method lora"),
      (training + ["--method", "fft", "--lora-dropout", "0.1"], "--lora-dropout needs --method lora"),
      (training + ["--method", "lora", "--rank", "0"], "--rank is 0"),
      (training + ["--method", "lora", "--alpha", "0"], "--alpha is 0"),
      (training + ["--method", "lora", "--lora-dropout", "1"], "below 1"),
      (training + ["--method", "lora", "--sparsity", "0.9"], "--sparsity is for tickets"),
      (training + ["--method", "lora", "--mask", "m"], "--mask is for tickets"),
      (training + ["--method", "lora", "--exclude", "m"], "--exclude is for single weights"),
      (training + ["--layers", "even"], "--layers needs --method lora or fft"),
      (training + ["--method", "fft", "--layers", "third"], "third"),
      (training + ["--replay-fraction", "0.1"], "--replay-fraction needs --replay"),
      (training + ["--replay", "r", "--replay-fraction", "0"], "above 0 and at most 1"),
      (training + ["--overlength", "ignore"], "truncate"),
      (training + ["--device", "abacus"], "abacus"),
      (training + ["--dtype", "int8"], "int8"),
      (training + ["--threads", "0"], "--threads"),
      (training + ["--threads", "100000"], "use 1 to 1024"),
      (training + ["extra"], "extra"),
      (training + ["--memory-budget", "8"], "6.5GiB"),
      (training + ["--memory-budget", "8GB", "--micro-batch-tokens", "9"], "exclude each other"),
      (["plan", "--model", "m"], "either --data, or --rows and --mean-length"),
      (["plan", "--model", "m", "--data", "d", "--rows", "3"], "either --data"),
      (["plan", "--model", "m", "--rows", "3"], "--mean-length"),
      (["plan", "--model", "m", "--rows", "3", "--mean-length", "9", "--alpha", "4"], "--alpha needs --method lora"),
      (
        ["plan", "--model", "m", "--rows", "3", "--mean-length", "9", "--replay", "r"], "--replay needs --data"
      ),
      (["plan", "--model", "m", "--rows", "0", "--mean-length", "9"], "from 1 to"),
      (["plan", "--model", "m", "--rows", "1", "--mean-length", "9", "--mean-labels", "9"], "use 1 to 8"),
      (["plan", "--model", "m", "--rows", "1", "--mean-length", "9", "--flops", "-1"], "--flops"),
      (["generate", "--model", "m"], "--prompt"),
      (["generate", "--model", "m", "--prompt", "p", "--seed", "-1"], "seed"),
      (["generate", "--model", "m", "--prompt", ""], "--prompt is empty"),
      (["chat"], "--model"),
      (["merge", "r.yaml"], "--out or --adapter-out"),
      (["merge", "--out", "o"], "give a recipe file"),
      (["merge", "r.yaml", "--out", "o", "--base", "b"], "a recipe file says all"),
      (["merge", "--method", "magic", "--out", "o"], "use linear, task_arithmetic"),
      (["merge", "--method", "ties", "--out", "o"], "--input is missing"),
      (["merge", "--method", "ties", "--input", "i", "--out", "o", "--dtype", "int"], "use float32"),
      (["chat", "--model", "m", "--top-k", "few"], "few"),
      (["score", "--model", "m"], "--data"),
      (["score", "--model", "m", "--data", "d", "--show-tokens"], "--json"),
      (["generate", "--model", "m", "--prompt", "p", "--system", "s"], "--chat"),
      (["bench", "step", "--phase", "training"], "calibration or adaptation"),
      (["bench", "step", "--optimizer", "lion"], "rmsprop, adamw, sgd"),
      (["import"], "file"),
      (["fetch"], "reference"),
      (["fetch", "hf:a/b", "--retries", "-1"], "--retries"),
      (["import", "f", "--out", "o", "--dtype", "int4"], "int4"),
      (["mask", "union", "a", "--out", "o"], "at least two tickets"),
      (["mask", "overlap", "a"], "second"),
      (["mask", "extract", "--base", "b", "--out", "o"], "--tuned"),
      (["data", "make", "--task", "gsm8k", "--out", "o"], "--from"),
      (["data", "check", "--model", "m", "--data", "d", "--max-length", "1"], "--max-length is 1"),
      (["data", "show", "--model", "m", "--data", "d", "--rows", "7-5"], "--rows is '7-5'"),
      (["data", "split", "--from", "d", "--out-dir", "o"], "--part"),
      (["data", "split", "--from", "d", "--out-dir", "o", "--part", "../x=3"], "--part is '../x=3'"),
      (["data", "split", "--from", "d", "--out-dir", "o", "--part", "a=3", "--part", "a=4"], "names a part twice"),
      (["eval", "--task", "gsm8k=d"], "--model"),
      (["eval", "--model", "m"], "--task"),
      (["eval", "--model", "m", "--task", "gsm8k"], "name=file"),
      (["eval", "--model", "m", "--task", "gsm8k=d", "--limit", "0"], "--limit is 0"),
      (["eval", "--model", "m", "--task", "gsm8k=d", "--resume"], "--resume needs --samples"),
      (["eval", "--model", "m", "--task", "gsm8k=d", "--method", "guessed"], "'guessed' is invalid"),
      (["eval", "--predictions", "p", "--task", "gsm8k", "--resamples", "0"], "--resamples is 0"),
      (["eval", "--predictions", "p", "--task", "gsm8k", "--full-batches", "0"], "--full-batches is 0"),
      (["eval", "compare", "a"], "second"),
      (["adapter", "apply", "--model", "m", "--out", "o"], "--adapter"),
      (["adapter", "encode", "a", "--model", "m", "--values", "exact", "--out", "o"], "use bfloat16 or int8"),
      (["adapter", "extract", "--base", "b", "--tuned", "t", "--values", "int4", "--out", "o"], "int4"),
    ])
  func wrongUsage(arguments: [String], mention: String) throws {
    try expectUsageError(arguments, in: try TemporaryDirectory(), mentions: [mention])
  }

  /// What follows a search's method, input and results.
  static let searches: [(more: String, mention: String)] = [
    ("", "either --score or --eval"),
    ("--score s", "nothing to search"),
    ("--score s --density 0.1", "nothing to search"),
    ("--score s --density 0.1,much", "0.1,much"),
    ("--score s --density 0.1,0.2 --limit 3", "--limit needs --eval"),
    ("--score a/s --score b/s --density 0.1,0.2", "the same label"),
  ]

  @Test("wrong usage of merge search", arguments: searches)
  func wrongSearch(more: String, mention: String) throws {
    let arguments = "merge search --method ties --input i --results r " + more
    try expectUsageError(
      arguments.split(separator: " ").map(String.init), in: try TemporaryDirectory(), mentions: [mention])
  }

  @Test("the version is a line on standard output")
  func version() throws {
    let result = try Lota.succeed("--version", in: try TemporaryDirectory())
    #expect(result.errors.isEmpty && result.outputLines.count == 1)
    #expect(result.output.split(separator: ".").count == 3)
  }

  static let verbs = [
    "", "quickstart", "import", "fetch", "generate", "chat", "score", "train", "plan", "calibrate", "mask",
    "mask extract",
    "mask random",
    "mask inspect", "mask overlap", "mask complement", "mask union", "mask capacity", "ledger", "ledger show",
    "ledger add", "ledger remove", "ledger verify", "adapter", "adapter inspect", "adapter apply",
    "adapter remove", "adapter extract", "adapter encode", "adapter diff", "adapter verify", "merge",
    "merge write", "merge search", "data",
    "data make",
    "data check", "data show", "data split", "data generate", "experiment", "eval",
    "eval model", "eval predictions", "eval compare", "eval judge", "bench", "bench step", "bench adapter", "doctor",
  ]

  /// The text of `--help` is a contract. After an intended change write the snapshots anew with
  /// `LOTA_UPDATE_SNAPSHOTS=1 swift test --filter UsageTests`, and read the difference.
  @Test("help shows an example and matches its snapshot", arguments: verbs)
  func help(verb: String) throws {
    let words = verb.split(separator: " ").map(String.init)
    let result = try Lota.run(words + ["--help"], in: try TemporaryDirectory())
    #expect(result.code == 0 && result.errors.isEmpty)
    if !["", "mask", "adapter", "ledger", "bench", "data", "eval"].contains(verb) {
      #expect(result.output.contains("Example: lota \(verb)"), "no example")
    }
    let name = (["lota"] + words).joined(separator: "-") + ".txt"
    if ProcessInfo.processInfo.environment["LOTA_UPDATE_SNAPSHOTS"] == "1" {
      let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Snapshots")
      try Data(result.output.utf8).write(to: source.appendingPathComponent(name))
      return
    }
    let snapshot = Bundle.module.bundleURL.appendingPathComponent("Snapshots").appendingPathComponent(name)
    let expected = try #require(try? String(contentsOf: snapshot, encoding: .utf8), "no snapshot \(name)")
    #expect(result.output == expected)
  }

  @Test("every verb has a snapshot")
  func complete() throws {
    let directory = Bundle.module.bundleURL.appendingPathComponent("Snapshots").path
    let snapshots = try FileManager.default.contentsOfDirectory(atPath: directory)
    #expect(snapshots.count == Self.verbs.count)
  }
}
