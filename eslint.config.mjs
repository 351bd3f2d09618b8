import tseslint from 'typescript-eslint'

/** Whatever `core` may not touch, so that it stays pure and runs in a browser (DESIGN §2). */
const impureGlobals = ['process', 'Buffer', 'window', 'document', 'fetch', 'crypto', 'performance', 'console']

export default tseslint.config(
  {
    ignores: [
      '**/node_modules/**',
      '**/dist/**',
      'extension/lib/**',
      'extension/pekka_jupyterlab/**',
      'coverage/**',
      'artifacts/**'
    ]
  },
  ...tseslint.configs.recommended,
  {
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' }
      ],
      'no-restricted-properties': [
        'error',
        { object: 'io', property: 'emit', message: 'Emit to a room whose owner was checked, never to everyone (I1).' }
      ]
    }
  },
  {
    files: ['node/src/core/**/*.ts'],
    ignores: ['node/src/core/platform.d.ts'],
    rules: {
      'no-restricted-globals': ['error', ...impureGlobals],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Time comes in as a component.' },
        { object: 'Math', property: 'random', message: 'Randomness comes in as a component.' }
      ],
      'no-restricted-imports': ['error', { patterns: ['node:*'] }]
    }
  },
  {
    files: ['node/src/core/ledger/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: "NewExpression[callee.name='Date']", message: 'The ledger knows contract time only (R12).' },
        {
          selector: "MemberExpression[property.name='localeCompare']",
          message: 'Locale order differs between machines.'
        }
      ]
    }
  },
  { files: ['**/*.cjs', '**/*.mjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } }
)
