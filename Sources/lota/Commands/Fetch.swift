import ArgumentParser
import Hub

struct Fetch: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fetch a model or a data set into the Hugging Face cache.",
    discussion: """
      Takes what is of use here: configuration, tokenizer and safetensors; with --data rows
      (.jsonl, .json, .csv). An interrupted fetch goes on where it ended; every file is checked.
      Afterwards --model hf:OWNER/NAME works without a network. HF_TOKEN opens private and gated
      repositories; HF_HUB_CACHE and HF_HOME move the cache, HF_ENDPOINT names another server
      (docs/hub.md).

      Example: lota fetch hf:HuggingFaceTB/SmolLM2-135M-Instruct
      """)

  @Argument(help: ArgumentHelp("hf:OWNER/NAME, or hf:OWNER/NAME@REVISION.", valueName: "reference"))
  var reference: String

  @Flag(help: "A data set, not a model.")
  var data = false

  @Option(help: ArgumentHelp("Cache directory.", valueName: "dir"))
  var cache: String?

  @Option(help: ArgumentHelp("Server to ask.", valueName: "url"))
  var endpoint: String?

  @Option(help: "Tries after one that failed.")
  var retries = 5

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard (0...100).contains(retries) else { throw ValidationError("--retries is \(retries): use 0 to 100") }
  }

  func run() throws {
    let reference = try HubReference(reference, kind: data ? .dataset : .model)
    let fetcher = try HubFetcher(
      cache: cache.map(HubCache.init(directory:)) ?? HubCache(), endpoint: endpoint, retries: retries)
    let renderer = FetchRenderer()
    let result = try fetcher.fetch(reference, report: renderer.show)
    Output.clearLine()
    if json { try Output.json(result) } else { Output.result(FetchRenderer.text(result)) }
  }
}
