import Adaptation
import ArgumentParser
import Checkpoints
import Decoder
import Tokenizers

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Continue a prompt.",
    discussion: "Example: lota generate --model models/smollm2 --adapter run/adapter --prompt 'SELECT' --max-tokens 40")

  @OptionGroup var options: ModelOptions
  @OptionGroup var adapters: AdapterOptions

  @Option(help: "Text to continue, or with --chat the user's message.")
  var prompt: String

  @Option(help: "Longest continuation, in tokens.")
  var maxTokens = SamplingOptions.defaultMaximumTokens

  @OptionGroup var sampling: SamplingArguments

  @Flag(help: "Put the prompt into the model's chat template.")
  var chat = false

  @Option(help: "System message, with --chat.")
  var system: String?

  @Flag(help: "Print one JSON object with text, token ids and speed.")
  var json = false

  func validate() throws {
    if prompt.isEmpty { throw ValidationError("--prompt is empty: give it some text") }
    if system != nil, !chat { throw ValidationError("--system needs --chat") }
  }

  func run() throws {
    let loaded = try LoadedModel(options, adapters: adapters)
    let text = chat ? try loaded.chatPrompt(prompt, system: system) : prompt
    let ids = loaded.tokenizer.encode(text)
    let limit = loaded.model.configuration.maximumPositions
    if ids.count + maxTokens > limit {
      Output.note(
        "note: \(ids.count) prompt tokens and --max-tokens \(maxTokens) may pass the \(limit) positions the model was made for"
      )
    }
    let sampling = try sampling.options(maximumTokens: maxTokens, stopTokens: loaded.stopTokens)
    var decoder = StreamingDecoder(loaded.tokenizer, skipSpecialTokens: true)
    let clock = ContinuousClock()
    let start = clock.now
    let continuation =
      try Generator(loaded.model).generate([ids], options: sampling) { _, token in
        if !json { Output.raw(decoder.append(token)) }
        return true
      }.first ?? []
    let seconds = (clock.now - start) / .seconds(1)
    guard json else { return Output.result(decoder.finish()) }
    try Output.json(
      Result(
        text: loaded.tokenizer.decode(continuation, skipSpecialTokens: true), tokens: continuation, prompt: ids,
        seconds: seconds))
  }

  private struct Result: Encodable {
    let text: String
    let tokens: [Int]
    let prompt: [Int]
    let seconds: Double
  }
}
