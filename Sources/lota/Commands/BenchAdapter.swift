import Adaptation
import ArgumentParser
import Foundation
import Reports

extension BenchCommand {
  struct AdapterSwitch: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "adapter", abstract: "Time loading an adapter into a live model, and switching between two.",
      discussion: """
        The tickets of the two may overlap. With one adapter, a switch takes it out and puts it in again.

        Example: lota bench adapter --model models/smollm2 --adapter runs/sql/adapter --adapter runs/math/adapter
        """)

    @OptionGroup var options: ModelOptions
    @Option(help: ArgumentHelp("Adapter directory, one or two.", valueName: "dir")) var adapter: [String]
    @Option(help: "Times that each thing is done.") var repeats = 5
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
      if adapter.count > 2 { throw ValidationError("--adapter is given \(adapter.count) times: give one or two") }
      if !(1...1000).contains(repeats) { throw ValidationError("--repeats is \(repeats): use 1 to 1000") }
    }

    func run() throws {
      try options.compute.apply()
      var benchmark = AdapterBenchmark(model: options.model, adapters: adapter)
      (benchmark.dtype, benchmark.device) = (options.compute.resolvedType, options.compute.resolvedDevice)
      benchmark.repeats = repeats
      let report = try benchmark.run()
      if json { return try Output.json(report) }
      func milliseconds(_ values: [Double]) -> String {
        String(format: "%.1f ms", 1000 * (values.sorted()[values.count / 2]))
      }
      Output.result(
        """
        model           \(NumberText.bytes(report.modelBytes)), read in \(milliseconds([report.modelSeconds]))
        trained         \(report.trained.map(String.init).joined(separator: ", ")) weights
        load and apply  \(milliseconds(report.loadAndApplySeconds)), of which \(milliseconds(report.verifySeconds)) to check the base
        peak memory     \(NumberText.bytes(report.modelPeakMemoryBytes)) with the model, \(NumberText.bytes(report.peakMemoryBytes)) with one adapter applied
        resident        \(NumberText.bytes(report.residentBytes)) for the adapters, decoded
        put in          \(milliseconds(report.applySeconds))
        take out        \(milliseconds(report.removeSeconds))
        switch          \(milliseconds(report.swapSeconds))
        base restored   \(report.isBaseRestored ? "bit for bit" : "NO")
        """)
    }
  }
}
