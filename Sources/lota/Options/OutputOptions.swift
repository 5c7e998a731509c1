import ArgumentParser

/// The directory that a command creates.
struct OutputOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Directory to create.", valueName: "dir"))
  var out: String

  @Flag(help: "Replace an existing directory.")
  var overwrite = false
}
