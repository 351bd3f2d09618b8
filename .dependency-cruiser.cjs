/** The arrows of the house (docs/architecture.md): imports point one way only. */
const forbid = (name, from, to, comment) => ({
  name,
  severity: 'error',
  comment,
  from: { path: from },
  to: { path: to }
})

module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } }
    },
    forbid(
      'protocol-imports-nothing-of-ours',
      '^node/src/core/protocol',
      '^(node/src/(?!core/protocol)|server|extension)'
    ),
    forbid(
      'core-client',
      '^node/src/core/client',
      '^(node/src/(?!core/(client|protocol|verification))|server|extension)'
    ),
    forbid(
      'core-verification',
      '^node/src/core/verification',
      '^(node/src/(?!core/(verification|protocol))|server|extension)'
    ),
    forbid('core-ledger', '^node/src/core/ledger', '^(node/src/(?!core/(ledger|protocol))|server|extension)'),
    forbid('core-scan', '^node/src/core/scan', '^(node/src/(?!core/(scan|protocol))|server|extension)'),
    forbid('core-consensus', '^node/src/core/consensus', '^(node/src/(?!core/(consensus|protocol))|server|extension)'),
    forbid(
      'simulation-runs-core-and-memory',
      '^node/simulation',
      '^(node/src/(?!core/|host/storage/)|server|extension)'
    ),
    forbid('core-is-pure', '^node/src/core', '^(node:|node/src/(host|agents|cli))'),
    forbid('host-imports-core', '^node/src/host', '^(node/src/(agents|cli)|server|extension)'),
    forbid('agents-import-host-and-core', '^node/src/agents', '^(node/src/cli|server|extension)'),
    forbid('node-knows-no-server', '^node/src', '^(server|extension)/'),
    forbid('server-knows-no-extension', '^server/src', '^extension/'),
    forbid('server-starts-no-cli', '^server/src', '^node/src/cli'),
    forbid(
      'extension-sees-core-only',
      '^extension/src',
      '^(server|node/src/(host|agents|cli|core/(ledger|consensus)))'
    ),
    {
      name: 'one-provider-cannot-import-another-agent',
      severity: 'error',
      comment: 'Processes are put together by starting them, never by importing.',
      from: { path: '^node/src/agents/([^/]+)/' },
      to: { path: '^node/src/agents/([^/]+)/', pathNot: '^node/src/agents/$1/' }
    }
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.tests.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['pekka-source', 'import', 'default'] }
  }
}
